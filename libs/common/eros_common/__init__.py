"""What every EROS service shares: lifecycle, errors, identity, clocks, settings, telemetry."""
