"""What processes of both sides need of the machine that they run on, with no word of business: files that may be meant to harm, a model's session, which process a
number means, a child's end with its parent."""
