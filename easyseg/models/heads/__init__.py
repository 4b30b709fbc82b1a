"""Heads gather context from the backbone's last feature: ASPP, DPC, LR-ASPP."""
