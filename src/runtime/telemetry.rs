//! Logs to standard error, spans to a collector.
//!
//! What is logged is up to `telemetry.log_filter`; spans go to the collector from level info up,
//! whatever is logged. The exporter's own traffic is kept out of what it exports, for otherwise
//! each export would cause the next.

use std::io::{self, IsTerminal};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tonic::transport::ClientTlsConfig;
use tracing::level_filters::LevelFilter;
use tracing::{Subscriber, warn};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use super::Error;
use crate::config::{LogFormat, Telemetry};

/// How long the last spans may take to reach the collector.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Crates that the exporter itself speaks through.
const EXPORTER_TARGETS: [&str; 8] = [
    "h2",
    "hyper",
    "hyper_util",
    "opentelemetry",
    "opentelemetry_otlp",
    "opentelemetry_sdk",
    "tonic",
    "tower",
];

/// Keeps the collector fed. Sends what is left when dropped.
#[derive(Debug)]
#[must_use = "spans are lost without it"]
pub struct Guard(Option<SdkTracerProvider>);

impl Guard {
    /// Sends what is left, for three seconds at most, without blocking the runtime that sends it.
    pub async fn shutdown(mut self) {
        if let Some(provider) = self.0.take() {
            let flushed = tokio::task::spawn_blocking(move || flush(&provider)).await;
            if flushed.is_err() {
                warn!("the last spans were not sent");
            }
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(provider) = self.0.take() {
            flush(&provider);
        }
    }
}

fn flush(provider: &SdkTracerProvider) {
    if let Err(error) = provider.shutdown_with_timeout(FLUSH_TIMEOUT) {
        warn!(error = %error, "the last spans were not sent");
    }
}

/// Sets up logs and spans for the whole process, once.
///
/// Must run inside the Tokio runtime when there is a collector. An unreachable collector is no
/// error: spans are dropped while it is away.
pub fn init(settings: &Telemetry) -> Result<Guard, Error> {
    let provider = settings
        .otlp_endpoint
        .as_ref()
        .map(|endpoint| provider(endpoint.as_str()))
        .transpose()?;
    let spans = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("stationmaster"))
            .with_filter(exported())
    });
    tracing_subscriber::registry()
        .with(spans)
        .with(logs(settings, io::stderr, Colours::of(&io::stderr()))?)
        .try_init()
        .map_err(|_| Error::LoggingTaken)?;
    Ok(Guard(provider))
}

fn provider(endpoint: &str) -> Result<SdkTracerProvider, Error> {
    let mut exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint);
    if endpoint.starts_with("https:") {
        // Without this the exporter would trust nobody.
        exporter = exporter.with_tls_config(ClientTlsConfig::new().with_enabled_roots());
    }
    let exporter = exporter.build()?;
    let resource = Resource::builder()
        .with_service_name("stationmaster")
        .with_attribute(opentelemetry::KeyValue::new(
            "service.version",
            env!("CARGO_PKG_VERSION"),
        ))
        .build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build())
}

/// What goes to the collector.
fn exported() -> Targets {
    let targets = EXPORTER_TARGETS.map(|target| (target, LevelFilter::OFF));
    Targets::new()
        .with_default(LevelFilter::INFO)
        .with_targets(targets)
}

/// Whether lines for people are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colours {
    /// Where people look, unless `NO_COLOR` asks for none.
    AsUsual,
    /// In files and pipes.
    None,
}

impl Colours {
    fn of(out: &impl IsTerminal) -> Self {
        if out.is_terminal() {
            Self::AsUsual
        } else {
            Self::None
        }
    }
}

/// The layer that writes log lines.
fn logs<S, W>(
    settings: &Telemetry,
    writer: W,
    colours: Colours,
) -> Result<Box<dyn Layer<S> + Send + Sync + 'static>, Error>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(&settings.log_filter)?;
    let mut layer = tracing_subscriber::fmt::layer().with_writer(writer);
    if colours == Colours::None {
        layer.set_ansi(false);
    }
    Ok(match settings.log_format {
        LogFormat::Human => layer.with_filter(filter).boxed(),
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_filter(filter)
            .boxed(),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing::{debug, info, info_span};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn settings(log_format: LogFormat, log_filter: &str) -> Telemetry {
        Telemetry {
            log_format,
            log_filter: log_filter.to_owned(),
            otlp_endpoint: None,
        }
    }

    #[test]
    fn a_json_line_has_its_fields_at_the_top() {
        let lines = Lines::default();
        let writer = lines.clone();
        let logs = logs(
            &settings(LogFormat::Json, "info"),
            move || writer.clone(),
            Colours::None,
        )
        .unwrap();

        tracing::subscriber::with_default(tracing_subscriber::registry().with(logs), || {
            let _span = info_span!("request", request.id = "r1").entered();
            info!(server.id = "srv_1", "created server");
            debug!("not this one");
        });

        let written = lines.0.lock().unwrap();
        let line: serde_json::Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(line["message"], "created server");
        assert_eq!(line["server.id"], "srv_1");
        assert_eq!(line["span"]["request.id"], "r1");
    }

    #[test]
    fn lines_in_a_file_are_not_coloured() {
        let lines = Lines::default();
        let writer = lines.clone();
        let settings = settings(LogFormat::Human, "info");
        let logs = logs(&settings, move || writer.clone(), Colours::None).unwrap();

        tracing::subscriber::with_default(tracing_subscriber::registry().with(logs), || {
            info!("created server");
        });

        let written = lines.0.lock().unwrap();
        assert!(!written.is_empty() && !written.contains(&0x1b));
    }

    #[test]
    fn a_filter_that_cannot_be_understood_is_an_error() {
        let settings = settings(LogFormat::Human, "stationmaster=loud");

        let logs = logs::<tracing_subscriber::Registry, _>(&settings, io::sink, Colours::None);

        assert!(matches!(logs, Err(Error::LogFilter(_))));
    }

    #[tokio::test]
    async fn a_collector_that_is_away_holds_up_nothing() {
        for endpoint in ["http://127.0.0.1:1", "https://127.0.0.1:1"] {
            let provider = provider(endpoint).unwrap();
            let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
            tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
                let _span = info_span!("request").entered();
            });

            Guard(Some(provider)).shutdown().await;
        }
    }

    #[test]
    fn the_exporters_own_traffic_is_not_exported() {
        let exported = exported();

        assert!(exported.would_enable("stationmaster::app", &tracing::Level::INFO));
        assert!(!exported.would_enable("h2::client", &tracing::Level::ERROR));
        assert!(!exported.would_enable("tonic::transport", &tracing::Level::INFO));
    }
}
