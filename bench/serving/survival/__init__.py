"""What the gateway survives: killed workers, changed champions, dead disks, too much load. Counted first, then timed."""
