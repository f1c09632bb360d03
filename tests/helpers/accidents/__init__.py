"""What goes wrong: kills, full disks, spoilt files, downloads that break off."""
