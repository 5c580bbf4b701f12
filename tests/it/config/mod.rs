//! Settings as an operator says them: file, environment, flags, and every way to say them wrong.

mod issuers;
mod together;

use std::path::PathBuf;
use std::time::Duration;

use stationmaster::config::{
    Config, DatabaseUrl, Error, LoadOptions, Migrate, Mode, Origin, Override, Problem,
};
use tempfile::TempDir;

const ROOT_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Options that nothing is wrong with.
fn production() -> LoadOptions {
    LoadOptions::default()
        .env("STATIONMASTER_PUBLIC__URL", "https://mcp.example.com")
        .env("STATIONMASTER_KEYS__ROOT_KEYS", ROOT_KEY)
}

fn dev() -> LoadOptions {
    LoadOptions {
        mode: Mode::Dev,
        ..LoadOptions::default()
    }
}

trait Say {
    fn env(self, name: &str, value: &str) -> Self;
    fn flag(self, key: &str, value: &str) -> Self;
    fn file(self, folder: &TempDir, text: &str) -> Self;
    fn problems(&self) -> Vec<Problem>;
    fn lines(&self) -> Vec<String>;
}

impl Say for LoadOptions {
    fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    fn flag(mut self, key: &str, value: &str) -> Self {
        self.overrides.push(Override {
            flag: format!("--{}", key.replace(['.', '_'], "-")),
            key: key.to_owned(),
            value: value.to_owned(),
        });
        self
    }

    fn file(mut self, folder: &TempDir, text: &str) -> Self {
        let path = folder.path().join("stationmaster.toml");
        std::fs::write(&path, text).unwrap();
        self.file = Some(path);
        self
    }

    fn problems(&self) -> Vec<Problem> {
        match Config::load(self) {
            Ok(_) => Vec::new(),
            Err(Error::Invalid(problems)) => problems,
        }
    }

    fn lines(&self) -> Vec<String> {
        self.problems().iter().map(Problem::to_string).collect()
    }
}

#[test]
fn dev_needs_no_setting() {
    let config = Config::load(&dev()).unwrap();

    assert!(config.egress.allow_http && config.egress.allow_loopback);
    assert!(config.handshakes.allow_link);
    assert!(config.keys.root_keys.is_empty());
    assert_eq!(
        config.public.url.as_ref().map(url::Url::as_str),
        Some("http://127.0.0.1:7401/")
    );
    assert_eq!(
        config.dev_root_key_file(),
        PathBuf::from("stationmaster-data/root.key")
    );
}

#[test]
fn production_needs_a_public_url_and_a_root_key() {
    let options = LoadOptions::default();

    let lines = options.lines();

    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].starts_with("`public.url`: is required"),
        "{lines:?}"
    );
    assert!(
        lines[1].starts_with("`keys.root_keys`: is required"),
        "{lines:?}"
    );
}

#[test]
fn production_weakens_nothing() {
    let config = Config::load(&production()).unwrap();

    assert!(!config.egress.allow_http && !config.egress.allow_loopback);
    assert!(!config.handshakes.allow_link && !config.listen.allow_plaintext);
    assert_eq!(config.keys.root_keys.as_slice().len(), 1);
    assert_eq!(config.database.migrate, Migrate::Auto);
}

#[test]
fn flags_beat_the_environment_which_beats_the_file_which_beats_dev() {
    let folder = TempDir::new().unwrap();
    let options = dev()
        .file(
            &folder,
            "[lifecycle]\ndrain_delay = '1s'\n[oauth]\nclient_name = 'file'\n\
             request_timeout = '11s'\n[handshakes]\nttl = '20m'\n",
        )
        .env("STATIONMASTER_OAUTH__CLIENT_NAME", "environment")
        .env("STATIONMASTER_HANDSHAKES__TTL", "21m")
        .flag("handshakes.ttl", "22m");

    let config = Config::load(&options).unwrap();

    assert_eq!(config.lifecycle.drain_delay, Duration::from_secs(1));
    assert_eq!(config.oauth.request_timeout, Duration::from_secs(11));
    assert_eq!(config.oauth.client_name, "environment");
    assert_eq!(config.handshakes.ttl, Duration::from_mins(22));
}

#[test]
fn all_problems_are_found_at_once_each_with_its_origin() {
    let folder = TempDir::new().unwrap();
    let options = production()
        .file(
            &folder,
            "[listen]\ngrpc = 'here'\n\n[tokens]\nlease = 60\nlaese = '1m'\n",
        )
        .env("STATIONMASTER_EGRESS__ALLOW_HTTP", "yes")
        .env("STATIONMASTER_EGRESS__ALLOWED_CIDRS", "10.0.0.0/8,10/99")
        .flag("lifecycle.shutdown_timeout", "9d");

    let text = options
        .lines()
        .join("\n")
        .replace(&folder.path().display().to_string(), "etc");

    assert_eq!(
        text,
        "`tokens.laese` (etc/stationmaster.toml:6): is not a setting; did you mean `tokens.lease`\n\
         `listen.grpc` (etc/stationmaster.toml:2): `here` is not an address such as `127.0.0.1:7400`\n\
         `egress.allow_http` (environment variable STATIONMASTER_EGRESS__ALLOW_HTTP): `yes` is neither `true` nor `false`\n\
         `egress.allowed_cidrs` (environment variable STATIONMASTER_EGRESS__ALLOWED_CIDRS): `10/99` is not a network such as `10.1.0.0/16`\n\
         `tokens.lease` (etc/stationmaster.toml:5): `60` is not a duration such as `500ms`, `10s` or `1h30m`\n\
         `lifecycle.shutdown_timeout` (--lifecycle-shutdown-timeout): must be between 1s and 3600s"
    );
}

#[test]
fn an_unknown_variable_is_refused_with_the_one_that_was_meant() {
    let options = production().env("STATIONMASTER_DATABASE_URL", "postgres://u:hush@h/d");

    let lines = options.lines();

    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("did you mean `STATIONMASTER_DATABASE__URL`"));
    assert!(!lines[0].contains("hush"));
}

#[test]
fn variables_of_the_command_line_and_of_kubernetes_are_let_pass() {
    let mut options = production()
        .env("STATIONMASTER_TOKEN", "x")
        .env("STATIONMASTER_SERVICE_HOST", "10.0.0.1")
        .env("STATIONMASTER_SERVICE_PORT_GRPC", "7400")
        .env("STATIONMASTER_PORT", "tcp://10.0.0.1:7400")
        .env("STATIONMASTER_PORT_7400_TCP_ADDR", "10.0.0.1")
        .env("UNRELATED", "x");
    options
        .other_variables
        .push("STATIONMASTER_TOKEN".to_owned());

    assert_eq!(options.lines(), Vec::<String>::new());
}

#[test]
fn unknown_sections_and_broken_lines_are_refused() {
    let folder = TempDir::new().unwrap();
    let unknown = production().file(&folder, "[listeners]\n[oauth]\n[public.url]\na = 1\n");

    let lines = unknown.lines();

    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("`listeners` ("), "{lines:?}");
    assert!(lines[1].starts_with("`public.url.a` ("), "{lines:?}");

    let broken = production().file(&folder, "[keys]\nroot_keys = [\"hush\n");

    let lines = broken.lines().join("\n");

    assert!(
        lines.contains("stationmaster.toml:2): is not valid TOML here"),
        "{lines}"
    );
    assert!(!lines.contains("hush"), "{lines}");
}

#[test]
fn a_missing_file_is_a_problem() {
    let options = LoadOptions {
        file: Some(PathBuf::from("does-not-exist.toml")),
        ..production()
    };

    let lines = options.lines();

    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("`settings file` (does-not-exist.toml:1): cannot be read"));
}

#[test]
fn a_secret_may_come_from_a_file() {
    let folder = TempDir::new().unwrap();
    let keys = folder.path().join("keys");
    std::fs::write(&keys, format!("{ROOT_KEY}\n\n{ROOT_KEY}\n")).unwrap();
    let url = folder.path().join("url");
    std::fs::write(&url, "postgres://u:hush@h/d\n").unwrap();
    let options = LoadOptions::default()
        .env("STATIONMASTER_PUBLIC__URL", "https://mcp.example.com")
        .env("STATIONMASTER_KEYS__ROOT_KEYS_FILE", keys.to_str().unwrap())
        .flag("database.url_file", url.to_str().unwrap());

    let config = Config::load(&options).unwrap();

    assert_eq!(config.keys.root_keys.as_slice().len(), 2);
    let DatabaseUrl::Postgres(url) = &config.database.url else {
        panic!("{:?}", config.database.url);
    };
    assert_eq!(url.as_str(), "postgres://u:hush@h/d");
    assert!(!format!("{config:?}").contains("hush"));
}

#[test]
fn a_proxy_is_a_secret_since_it_may_hold_a_password() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("proxy");
    std::fs::write(&file, "http://u:hush@proxy.internal:3128\n").unwrap();
    let by_file = production().flag("egress.proxy_file", file.to_str().unwrap());
    let by_value = production().env("STATIONMASTER_EGRESS__PROXY", "http://u:hush@proxy:3128");

    for options in [by_file, by_value] {
        let config = Config::load(&options).unwrap();

        assert!(config.egress.proxy.is_some());
        let shown = format!("{config:?} {:?}", config.explain());
        assert!(!shown.contains("hush"), "{shown}");
        let row = config
            .explain()
            .iter()
            .find(|row| row.key == "egress.proxy");
        assert_eq!(row.unwrap().value.as_deref(), Some("(hidden)"));
    }
    let lines = production()
        .flag("egress.proxy", "socks5://u:hush@h:1")
        .lines();
    assert_eq!(lines.len(), 1);
    assert!(!lines[0].contains("hush"), "{lines:?}");
}

#[test]
fn a_secret_by_value_and_by_file_is_refused_naming_both() {
    let options = production().flag("keys.root_keys_file", "/run/secrets/keys");

    let lines = options.lines();

    assert_eq!(
        lines,
        [
            "`keys.root_keys_file` (--keys-root-keys-file): is given, and so is `keys.root_keys` \
          (environment variable STATIONMASTER_KEYS__ROOT_KEYS); keep one"
        ]
    );
}

#[test]
fn a_secrets_file_that_cannot_be_read_is_one_problem() {
    let options = LoadOptions::default()
        .env("STATIONMASTER_PUBLIC__URL", "https://mcp.example.com")
        .flag("keys.root_keys_file", "/does/not/exist");

    let lines = options.lines();

    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("file /does/not/exist cannot be read"));
}

#[test]
fn the_explanation_shows_origins_and_hides_secrets() {
    let folder = TempDir::new().unwrap();
    let options = production()
        .file(
            &folder,
            "[egress]\nallowed_hosts = ['a.internal', 'b.internal']\n",
        )
        .env("STATIONMASTER_DATABASE__URL", "postgres://u:hush@h/d");
    let config = Config::load(&options).unwrap();

    let row = |key| {
        let row = config.explain().iter().find(|row| row.key == key).unwrap();
        (row.value.as_deref(), row.origin.clone())
    };

    assert_eq!(
        row("listen.grpc"),
        (Some("127.0.0.1:7400"), Some(Origin::Default))
    );
    assert_eq!(row("telemetry.otlp_endpoint"), (None, None));
    assert_eq!(
        row("database.url"),
        (
            Some("(hidden)"),
            Some(Origin::Environment(
                "STATIONMASTER_DATABASE__URL".to_owned()
            ))
        )
    );
    assert_eq!(
        row("egress.allowed_hosts"),
        (
            Some("a.internal, b.internal"),
            Some(Origin::File(options.file.clone().unwrap(), 2))
        )
    );
    assert!(config.explain().iter().all(|row| !row.about.is_empty()));
    assert!(!format!("{:?}", config.explain()).contains(ROOT_KEY));
}

#[test]
fn the_example_file_is_the_reference_and_says_nothing_by_itself() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/deploy/stationmaster.example.toml"
    );

    let file = std::fs::read_to_string(path).unwrap();

    assert_eq!(
        file,
        stationmaster::config::example(),
        "write it anew: stationmaster config example > deploy/stationmaster.example.toml"
    );
    let said = file.lines().filter(|line| !line.is_empty());
    assert!(
        said.clone()
            .all(|line| line.starts_with('#') || line.starts_with('['))
    );
}
