"""Named, typed arrays against a signature: what the Open Inference Protocol carries, whatever the encoding."""
