//! How requests leave this machine, where that is not simply by the system's own means.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::ExposeSecret;

use super::error::Error;
use super::resolver::Names;
use crate::domain::secrets::Opaque;

/// What a deployment, or a test, puts in the place of the system's own.
#[derive(Debug, Clone, Default)]
pub struct Route {
    /// Whom to trust beside whom the system trusts.
    pub roots: Roots,
    /// The URL of the HTTP proxy that everything but the operator's own services is reached through.
    pub proxy: Option<Opaque>,
    /// Who is asked about names.
    pub names: Names,
}

impl Route {
    /// The proxy, as the HTTP client knows it. Asks no environment for exceptions.
    pub(super) fn proxy(&self) -> Result<Option<reqwest::Proxy>, Error> {
        let proxy = self.proxy.as_ref();
        let read = |url: &Opaque| reqwest::Proxy::all(url.expose_secret());
        proxy.map(read).transpose().map_err(|_error| Error::Setup)
    }
}

/// Root certificates that are trusted beside the system's.
#[derive(Debug, Clone, Default)]
pub struct Roots(Vec<CertificateDer<'static>>);

/// What was given as root certificates is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no usable root certificate")]
pub struct NoRoots;

impl Roots {
    /// The certificates of a PEM file; what else it holds is passed over.
    ///
    /// # Errors
    /// [`NoRoots`] when there is none, or one that cannot be a root.
    pub fn from_pem(pem: &[u8]) -> Result<Self, NoRoots> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let found = found.map_err(|_error| NoRoots)?;
        let mut store = RootCertStore::empty();
        let usable = found.iter().all(|one| store.add(one.clone()).is_ok());
        if found.is_empty() || !usable {
            return Err(NoRoots);
        }
        Ok(Self(found))
    }

    pub(super) fn certificates(&self) -> Result<Vec<reqwest::Certificate>, Error> {
        let read = |one: &CertificateDer<'_>| reqwest::Certificate::from_der(one);
        let all: Result<_, _> = self.0.iter().map(read).collect();
        all.map_err(|_error| Error::Setup)
    }
}
