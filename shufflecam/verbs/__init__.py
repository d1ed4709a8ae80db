"""What each verb does to one input, as work for :mod:`shufflecam.jobs`; apart from the commands, which load nothing."""
