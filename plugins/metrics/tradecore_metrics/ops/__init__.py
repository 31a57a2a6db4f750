"""Alert rules for Prometheus and a dashboard for Grafana, generated from one place."""
