"""What the loop does when something goes wrong: real rows through the real engine on a simulated clock, with one fault at a known moment."""
