"""The firmware's version: MAJOR.MINOR.PATCH, each a decimal number."""

VERSION = "0.1.0"
