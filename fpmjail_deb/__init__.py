"""fpmjail-deb: one YAML file per PHP website in, one Debian package with its jail out."""

__version__ = "0.1.0"
