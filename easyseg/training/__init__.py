"""Fine-tuning: data, losses, schedules and the loop."""
