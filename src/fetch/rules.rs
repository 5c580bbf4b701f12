//! What outgoing requests may do: the [`Policy`] of one request and the [`FetchRules`] of the
//! deployment. Checking a URL here is only half: the addresses its name resolves to are checked
//! in [`super::resolver`], when the connection is made.

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

use super::address::admit;
use super::error::{Error, Why};

/// Who chose the address that is contacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// A tenant or an upstream server: everything is checked, and loopback is refused even where the
    /// deployment allows it, since the server that this is for is elsewhere.
    #[default]
    Tenant,
    /// The same for a server that is itself configured on loopback: what it names may be there too,
    /// where the deployment allows loopback at all.
    Local,
    /// The operator of this deployment, whose own services are private by nature: scheme and form
    /// are checked, addresses are not.
    Operator,
}

impl Policy {
    /// The policy of whatever is asked on behalf of what is configured at this URL. A public server
    /// that names an endpoint on loopback would have us talk to this machine's own services.
    pub fn on_behalf_of(url: &str) -> Self {
        match Url::parse(url) {
            Ok(url) if is_loopback(&url) => Self::Local,
            Ok(_) | Err(_) => Self::Tenant,
        }
    }
}

/// Whether `http` may be spoken to what tenants and upstreams name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PlainHttp {
    /// Only `https`.
    #[default]
    Refused,
    /// Both; the operator accepts that tokens travel in clear text.
    Allowed,
}

/// Whether loopback addresses may be contacted under [`Policy::Local`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Loopback {
    /// They are special addresses like any other.
    #[default]
    Refused,
    /// For development and tests.
    Allowed,
}

/// What the deployment permits to tenants and upstreams. The default is the strictest.
#[derive(Debug, Clone, Default)]
pub struct FetchRules {
    /// Whether `http` may be spoken.
    pub plain_http: PlainHttp,
    /// Whether loopback may be contacted for servers that are there.
    pub loopback: Loopback,
    /// Special-use ranges that may be contacted nevertheless.
    pub allowed_cidrs: Vec<IpNet>,
    /// Hosts whose addresses are not checked: names or addresses, without brackets; compared without
    /// regard to case or a final dot.
    pub allowed_hosts: Vec<String>,
}

impl FetchRules {
    /// The rules of `--dev`: http and loopback.
    pub fn development() -> Self {
        Self {
            plain_http: PlainHttp::Allowed,
            loopback: Loopback::Allowed,
            ..Self::default()
        }
    }

    /// Whether the operator listed this host by name.
    pub(super) fn lists(&self, host: &str) -> bool {
        let host = undotted(host);
        self.allowed_hosts
            .iter()
            .any(|listed| undotted(listed).eq_ignore_ascii_case(host))
    }

    /// The URL as it will be requested: fragment and final dot of the host dropped.
    ///
    /// Checks scheme, user information and, when the host is a literal, its address; the address
    /// of a name is checked when it is resolved. Asks nobody.
    ///
    /// # Errors
    /// [`Error::Blocked`].
    pub fn check(&self, policy: Policy, url: &Url) -> Result<Url, Error> {
        let mut url = url.clone();
        let blocked = |why| Error::Blocked {
            host: url.host_str().unwrap_or_default().to_owned(),
            why,
        };
        let plain_allowed = policy == Policy::Operator || self.plain_http == PlainHttp::Allowed;
        match url.scheme() {
            "https" => {}
            "http" if plain_allowed => {}
            _ => return Err(blocked(Why::Scheme)),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(blocked(Why::UserInformation));
        }
        let literal = match url.host() {
            None => return Err(blocked(Why::Host)),
            Some(Host::Domain(name)) => {
                let name = undotted(name).to_owned();
                if name.is_empty() || name.ends_with('.') || url.set_host(Some(&name)).is_err() {
                    return Err(Error::Blocked {
                        host: name,
                        why: Why::Host,
                    });
                }
                // "127.0.0.1." is a name with the dot and a literal without it.
                match url.host() {
                    Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
                    Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
                    Some(Host::Domain(_)) | None => None,
                }
            }
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        };
        if let Some(address) = literal
            && policy != Policy::Operator
            && !self.lists(&address.to_string())
        {
            admit(address, self, policy).map_err(|special| Error::Blocked {
                host: address.to_string(),
                why: Why::Address(special),
            })?;
        }
        url.set_fragment(None);
        Ok(url)
    }
}

fn undotted(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

/// Whether a URL's host is this machine by its spelling: `localhost` or a loopback literal
/// (RFC 8252, section 7.3; RFC 6761, section 6.3).
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = undotted(name);
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verdict(rules: &FetchRules, url: &str) -> Result<String, Error> {
        rules
            .check(Policy::Tenant, &Url::parse(url).unwrap())
            .map(String::from)
    }

    #[test]
    fn literals_in_every_spelling_are_checked() {
        for url in [
            "https://127.0.0.1/",
            "https://127.0.0.1./",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:169.254.169.254]/",
            "https://[::ffff:a9fe:a9fe]/",
            "https://169.254.169.254/latest/meta-data",
            "https://１２７.０.０.１/",
        ] {
            let refused = verdict(&FetchRules::default(), url);

            assert!(
                matches!(
                    refused,
                    Err(Error::Blocked {
                        why: Why::Address(_),
                        ..
                    })
                ),
                "{url}: {refused:?}"
            );
        }
    }

    #[test]
    fn scheme_and_user_information_are_checked() {
        let rules = FetchRules::default();

        for (url, why) in [
            ("http://example.com/", Why::Scheme),
            ("ftp://example.com/", Why::Scheme),
            ("file:///etc/passwd", Why::Scheme),
            ("javascript:alert(1)", Why::Scheme),
            ("https://user@example.com/", Why::UserInformation),
            ("https://:pass@example.com/", Why::UserInformation),
            ("https://example.com../", Why::Host),
        ] {
            assert!(
                matches!(verdict(&rules, url), Err(Error::Blocked { why: found, .. }) if found == why),
                "{url}"
            );
        }
    }

    #[test]
    fn fragment_and_final_dot_are_dropped() {
        let checked = verdict(&FetchRules::default(), "https://Example.COM./a?b#c").unwrap();

        assert_eq!(checked, "https://example.com/a?b");
    }

    #[test]
    fn only_what_is_spelt_as_loopback_is_asked_for_as_loopback() {
        for (url, policy) in [
            ("http://127.0.0.1:7/mcp", Policy::Local),
            ("http://localhost/mcp", Policy::Local),
            ("https://a.localhost./mcp", Policy::Local),
            ("http://[::1]/", Policy::Local),
            ("https://localhost.example.com/", Policy::Tenant),
            ("https://10.0.0.1/", Policy::Tenant),
            ("", Policy::Tenant),
        ] {
            assert_eq!(Policy::on_behalf_of(url), policy, "{url}");
        }
    }

    #[test]
    fn a_listed_host_is_admitted_by_literal_and_by_name() {
        let rules = FetchRules {
            allowed_hosts: vec!["10.0.0.5".to_owned(), "Idp.Internal.".to_owned()],
            ..FetchRules::default()
        };

        assert!(verdict(&rules, "https://10.0.0.5/").is_ok());
        assert!(verdict(&rules, "https://10.0.0.6/").is_err());
        assert!(rules.lists("idp.internal"));
        assert!(!rules.lists("evil-idp.internal"));
    }

    #[test]
    fn the_operators_own_services_may_be_private_but_not_odd() {
        let rules = FetchRules::default();
        let check = |url: &str| rules.check(Policy::Operator, &Url::parse(url).unwrap());

        assert!(check("http://10.0.0.1:8200/").is_ok());
        assert!(check("https://user@10.0.0.1/").is_err());
        assert!(check("unix:/run/x").is_err());
    }

    proptest! {
        #[test]
        fn what_is_let_through_is_plain_and_stays_let_through(
            host in "[a-z0-9.:%\\[\\]@-]{1,24}",
            path in "[ -~]{0,12}",
        ) {
            let rules = FetchRules::default();
            if let Ok(url) = Url::parse(&format!("https://{host}/{path}"))
                && let Ok(checked) = rules.check(Policy::Tenant, &url)
            {
                prop_assert!(checked.username().is_empty() && checked.fragment().is_none());
                prop_assert!(!checked.host_str().unwrap_or(".").ends_with('.'));
                prop_assert_eq!(rules.check(Policy::Tenant, &checked).unwrap(), checked);
            }
        }
    }
}
