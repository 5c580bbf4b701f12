//! Why the process cannot start or go on.

/// What the runtime can fail with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `telemetry.log_filter` is not in the syntax of filters.
    #[error("`telemetry.log_filter` cannot be understood: {0}")]
    LogFilter(#[from] tracing_subscriber::filter::ParseError),
    /// Traces cannot be sent to `telemetry.otlp_endpoint`.
    #[error("`telemetry.otlp_endpoint` cannot be used: {0}")]
    Collector(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Something else in this process has taken the logs already.
    #[error("logging is set up already")]
    LoggingTaken,
    /// The operating system does not let us listen for signals.
    #[error("signals cannot be listened for: {0}")]
    Signals(#[source] std::io::Error),
}
