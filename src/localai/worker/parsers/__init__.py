"""Generated text -> blocks, one file per output format, for engines that do not do it themselves."""
