//! What the egress settings mean for requests.

use std::fs;

use super::Error;
use super::files::refused;
use crate::config::Config;
use crate::fetch::{FetchRules, Loopback, PlainHttp, Roots, Route};

/// What requests may reach.
pub(super) fn rules(config: &Config) -> FetchRules {
    let egress = &config.egress;
    let hosts = egress.allowed_hosts.iter();
    FetchRules {
        plain_http: if egress.allow_http {
            PlainHttp::Allowed
        } else {
            PlainHttp::Refused
        },
        loopback: if egress.allow_loopback {
            Loopback::Allowed
        } else {
            Loopback::Refused
        },
        allowed_cidrs: egress.allowed_cidrs.clone(),
        allowed_hosts: hosts.map(ToString::to_string).collect(),
    }
}

/// How they leave.
pub(super) fn route(config: &Config) -> Result<Route, Error> {
    let roots = match &config.egress.ca_file {
        None => Roots::default(),
        Some(path) => {
            let pem = fs::read(path).map_err(refused(path))?;
            Roots::from_pem(&pem).map_err(|cause| Error::Roots {
                path: path.clone(),
                cause,
            })?
        }
    };
    let proxy = config.egress.proxy.as_ref();
    Ok(Route {
        roots,
        proxy: proxy.map(|proxy| proxy.as_secret().clone()),
        ..Route::default()
    })
}
