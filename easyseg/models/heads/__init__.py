"""What reads the backbone's last features: ASPP, DPC, LR-ASPP."""
