"""Settings of the demonstration network at the Rotterdam roof laboratory.

The loggers read this file at start. Change a value here, commit it, and run ``halmctl reload`` on the logger; the
change takes effect at the next full minute. Owner: Tomasz Brandwijk.
"""

from __future__ import annotations

# Sampling. The roof stations are Brisa 300X, which may go down to 10 s; 30 s keeps the radio below its duty cycle.
SAMPLE_SECONDS = 30
AVERAGE_OVER_SAMPLES = 20  # ten-minute means, as the weather services report them

# Uploading. The broker refuses plain connections, so the port is that of MQTT over TLS.
BROKER_HOST = "broker.tarwen.example"
BROKER_PORT = 8883
UPLOAD_EVERY_SECONDS = 120
RETRY_LIMIT = 4  # after the fourth failure the batch is kept on the SD card until midnight
RETRY_PAUSE_SECONDS = 45

# Corrections found against the reference thermometer on 11 February 2025, in degrees Celsius.
TEMPERATURE_OFFSETS = {
    "roof-north": -0.12,
    "roof-south": +0.07,
    "courtyard": -0.31,
    "quay": 0.00,
}

# Readings outside these limits are stored but marked as doubtful.
PLAUSIBLE = {
    "air_temperature_c": (-35.0, 48.0),
    "relative_humidity_pct": (3.0, 100.0),
    "wind_speed_ms": (0.0, 62.0),
    "rain_mm_per_hour": (0.0, 180.0),
}


def corrected(site: str, air_temperature_c: float) -> float:
    """Return a temperature with the offset of its site; a site without an entry is left as it is."""
    return air_temperature_c + TEMPERATURE_OFFSETS.get(site, 0.0)
