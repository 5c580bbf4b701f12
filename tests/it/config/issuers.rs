//! The file of trusted issuers: what it may say, and every way to say it wrong.

use std::time::Duration;

use stationmaster::config::{Config, LoadOptions};
use stationmaster::domain::access::Role;
use stationmaster::domain::authorization::{ClientAuthMethod, Issuer};
use stationmaster::domain::issuers::{RoleRule, TenantRule};
use stationmaster::domain::jws::Algorithm;
use tempfile::TempDir;

use super::{Say, dev, production};

const LEAST: &str = "[[issuers]]\nissuer = 'https://login.example.com'\naudiences = ['sm']\n";

/// The options with a file of issuers that says this.
fn saying(options: LoadOptions, folder: &TempDir, text: &str) -> LoadOptions {
    let path = folder.path().join("issuers.toml");
    std::fs::write(&path, text).unwrap();
    options.flag("callers.issuers", path.to_str().unwrap())
}

/// What is wrong with a file, a line each, without the path.
fn wrong(options: LoadOptions, text: &str) -> Vec<String> {
    let folder = TempDir::new().unwrap();
    let options = saying(options, &folder, text);
    let path = folder.path().join("issuers.toml");
    let path = path.display().to_string();
    let lines = options.lines().into_iter();
    lines.map(|line| line.replace(&path, "FILE")).collect()
}

#[test]
fn an_issuer_needs_a_name_and_an_audience_and_has_the_usual_rules() {
    let folder = TempDir::new().unwrap();
    let config = Config::load(&saying(production(), &folder, LEAST)).unwrap();

    let found = config
        .issuers
        .find(&Issuer::new("https://login.example.com"));

    let issuer = found.unwrap();
    assert_eq!(issuer.audiences, ["sm"]);
    assert_eq!(issuer.algorithms, [Algorithm::Rs256, Algorithm::Es256]);
    assert!(matches!(&issuer.tenant, TenantRule::Fixed(tenant) if tenant.as_str() == "default"));
    assert_eq!(issuer.role, RoleRule::Fixed(Role::User));
    assert_eq!(issuer.clock_skew, Duration::from_mins(1));
    assert!(issuer.max_age.is_none() && issuer.client.is_none() && !issuer.shared_users);
    let rows = config.explain();
    let row = rows
        .iter()
        .find(|row| row.key == "callers.issuers")
        .unwrap();
    let shown = row.value.as_deref().unwrap();
    assert!(
        shown.ends_with("issuers.toml: https://login.example.com"),
        "{shown}"
    );
}

#[test]
fn an_issuer_may_say_everything() {
    let folder = TempDir::new().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "hush\n").unwrap();
    let text = format!(
        "{LEAST}jwks_uri = 'https://keys.example.com/jwks'\n\
         algorithms = ['PS256', 'EdDSA']\n\
         tenant_claim = 'org'\ntenants = {{ Acme = 'acme' }}\n\
         user_claim = 'email'\nuser_prefix = 'corp:'\n\
         groups_claim = '/realm_access/groups'\ngroups_prefix = 'corp:'\n\
         role_claim = 'roles'\nroles = {{ boss = 'admin', staff = 'user' }}\n\
         required_claims = {{ hd = 'example.com' }}\n\
         clock_skew = '5m'\nmax_age = '12h'\nshared_users = true\n\
         client_id = 'us'\nclient_secret_file = '{}'\n\
         token_endpoint = 'https://login.example.com/token'\n\
         token_endpoint_auth_method = 'client_secret_post'\n",
        secret.display()
    );

    let config = Config::load(&saying(production(), &folder, &text)).unwrap();

    let issuer = config.issuers.iter().next().unwrap();
    let client = issuer.client.as_ref().unwrap();
    assert_eq!(issuer.algorithms, [Algorithm::Ps256, Algorithm::EdDsa]);
    assert_eq!(issuer.max_age, Some(Duration::from_hours(12)));
    assert_eq!(client.id, "us");
    assert_eq!(client.method, Some(ClientAuthMethod::ClientSecretPost));
    assert!(client.secret.is_some());
    assert!(!format!("{config:?}").contains("hush"));
}

#[test]
fn a_key_that_is_none_is_told_with_its_line() {
    let found = wrong(production(), &format!("{LEAST}audience = 'sm'\n"));

    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("`callers.issuers` (FILE:4): "),
        "{found:?}"
    );
    assert!(found[0].contains("`audience`"), "{found:?}");
    for text in [
        "issuer = 'x'",
        "[issuers]\n",
        "[[issuers]]\nissuer = 7",
        "]",
        "",
    ] {
        assert_eq!(wrong(production(), text).len(), 1, "{text}");
    }
    let missing = production().flag("callers.issuers", "/nowhere/at.all");
    assert_eq!(missing.lines().len(), 1);
}

#[test]
fn what_makes_no_sense_is_told_with_the_line_of_its_issuer() {
    let base = "[[issuers]]\naudiences = ['sm']\n";
    for (text, word) in [
        (format!("{base}issuer = 'login'"), "`issuer`"),
        (
            format!("{base}issuer = 'http://login.example.com'"),
            "https",
        ),
        (format!("{base}issuer = 'https://x/?a=b'"), "query"),
        (
            format!("{base}issuer = 'https://x/{}'", "x".repeat(512)),
            "512",
        ),
        (
            "[[issuers]]\nissuer = 'https://x'\naudiences = []".to_owned(),
            "`audiences`",
        ),
        (
            "[[issuers]]\nissuer = 'https://x'\naudiences = [' ']".to_owned(),
            "`audiences`",
        ),
        (format!("{LEAST}jwks_uri = 'http://x/jwks'"), "`jwks_uri`"),
        (format!("{LEAST}algorithms = []"), "`algorithms`"),
        (
            format!("{LEAST}algorithms = ['RS256', 'HS256']"),
            "`algorithms`",
        ),
        (format!("{LEAST}algorithms = ['none']"), "`algorithms`"),
        (format!("{LEAST}tenant = 'Acme Inc.'"), "`tenant`"),
        (
            format!("{LEAST}tenant = 'a'\ntenant_claim = 'b'"),
            "keep one",
        ),
        (format!("{LEAST}tenants = {{ A = 'a' }}"), "`tenant_claim`"),
        (
            format!("{LEAST}tenant_claim = 'o'\ntenants = {{ A = 'A' }}"),
            "`tenants`",
        ),
        (format!("{LEAST}role = 'root'"), "\"root\""),
        (format!("{LEAST}role_claim = 'r'"), "`roles`"),
        (
            format!("{LEAST}role_claim = 'r'\nroles = {{ a = 'root' }}"),
            "`roles`",
        ),
        (
            format!("{LEAST}role = 'user'\nrole_claim = 'r'\nroles = {{ a = 'user' }}"),
            "keep one",
        ),
        (format!("{LEAST}roles = {{ a = 'user' }}"), "`role_claim`"),
        (format!("{LEAST}user_claim = ''"), "`user_claim`"),
        (format!("{LEAST}user_prefix = ' a'"), "`user_prefix`"),
        (format!("{LEAST}clock_skew = '6m'"), "`clock_skew`"),
        (format!("{LEAST}max_age = '0s'"), "`max_age`"),
        (
            format!("{LEAST}token_endpoint = 'https://x/t'"),
            "`client_id`",
        ),
        (format!("{LEAST}client_id = ''"), "`client_id`"),
        (
            format!("{LEAST}client_id = 'a'\ntoken_endpoint_auth_method = 'private_key_jwt'"),
            "`token_endpoint_auth_method`",
        ),
        (
            format!("{LEAST}client_id = 'a'\ntoken_endpoint_auth_method = 'client_secret_basic'"),
            "`client_secret_file`",
        ),
        (
            format!("{LEAST}client_id = 'a'\nclient_secret_file = '/nowhere'"),
            "`client_secret_file`",
        ),
    ] {
        let found = wrong(production(), &text);

        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(
            found[0].starts_with("`callers.issuers` (FILE:1): "),
            "{found:?}"
        );
        assert!(found[0].contains(word), "{text}: {found:?}");
    }
}

#[test]
fn plain_http_is_for_development() {
    let text = LEAST.replace("https:", "http:");

    assert_eq!(wrong(production(), &text).len(), 1);
    assert_eq!(wrong(dev(), &text), [""; 0]);
}

#[test]
fn two_issuers_name_the_same_users_and_groups_only_if_both_say_so() {
    let two = |first: &str, second: &str| {
        let other = LEAST.replace("login", "other");
        wrong(production(), &format!("{LEAST}{first}\n{other}{second}\n"))
    };

    let found = two("", "");
    assert_eq!(found.len(), 2, "{found:?}");
    for (found, key) in found.iter().zip(["user_prefix", "groups_prefix"]) {
        assert!(
            ["line 1", "FILE:5", key]
                .iter()
                .all(|part| found.contains(part)),
            "{found}"
        );
    }
    assert_eq!(two("shared_users = true", "").len(), 2);
    let groups = "shared_groups = true";
    let longer = [
        format!("user_prefix = 'a'\n{groups}"),
        format!("user_prefix = 'ab'\n{groups}"),
    ];
    assert_eq!(two(&longer[0], &longer[1]).len(), 1);
    assert_eq!(two("user_prefix = 'a:'", "user_prefix = 'b:'").len(), 1);
    for (first, second) in [
        ("shared_users = true", "shared_users = true"),
        (
            "user_prefix = 'a:'\ngroups_prefix = 'a:'",
            "user_prefix = 'b:'\ngroups_prefix = 'b:'",
        ),
        ("tenant = 'acme'", "tenant = 'beta'"),
        ("role = 'admin'", ""),
    ] {
        assert_eq!(two(first, second), [""; 0], "{first} {second}");
    }
    let twice = wrong(production(), &format!("{LEAST}{LEAST}"));
    assert!(
        twice.len() == 1 && twice[0].contains("once more"),
        "{twice:?}"
    );
}
