//! Certificates for tests.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::service::ServeError;
use crate::tls::{Certificates, TlsArgs};
use crate::{Limits, Service};

/// A platform's authority, and the files of one server.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    directory: TempDir,
}

impl Authority {
    /// An authority whose certificate stands in a file.
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let pem = params.self_signed(&key).unwrap().pem();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.crt"), pem).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            directory,
        }
    }

    /// A file of the directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a certificate and its key, in this order. Gives the certificate.
    pub(crate) fn issue(&self, names: &[&str]) -> Vec<u8> {
        let (certificate, key) = self.pair(names);
        std::fs::write(self.file("tls.crt"), certificate.pem()).unwrap();
        std::fs::write(self.file("tls.key"), key.serialize_pem()).unwrap();
        certificate.der().to_vec()
    }

    /// A certificate and its key.
    pub(crate) fn pair(&self, names: &[&str]) -> (rcgen::Certificate, KeyPair) {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// What a process of this platform gets.
    pub(crate) fn args(&self) -> TlsArgs {
        TlsArgs {
            tls_cert_file: Some(self.file("tls.crt")),
            tls_key_file: Some(self.file("tls.key")),
            tls_ca_file: Some(self.file("ca.crt")),
        }
    }

    /// The pair that was issued last, as a server uses it.
    pub(crate) fn certificates(&self) -> Arc<Certificates> {
        self.args().certificates().unwrap().unwrap()
    }
}

/// A server on a port of its own.
pub(crate) struct Running {
    pub(crate) service: Service,
    pub(crate) port: u16,
    pub(crate) server: JoinHandle<Result<(), ServeError>>,
}

/// Serves `router`, over TLS with certificates.
pub(crate) async fn serve(router: Router, certificates: Option<Arc<Certificates>>) -> Running {
    serve_within(router, certificates, Limits::default()).await
}

/// Serves `router` to clients that keep to `limits`.
pub(crate) async fn serve_within(
    router: Router,
    certificates: Option<Arc<Certificates>>,
    limits: Limits,
) -> Running {
    let mut service = Service::for_tests("test");
    service.certificates = certificates;
    service.limits = limits;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = {
        let service = service.clone();
        tokio::spawn(async move { service.serve_http_on(listener, router).await })
    };
    Running {
        service,
        port,
        server,
    }
}

/// A server of another protocol, for one connection: answers eight bytes with `yes` when it is not
/// empty, shakes hands, and gives the first four bytes that it is then told.
pub(crate) async fn secured(
    certificates: Arc<Certificates>,
    yes: &'static [u8],
) -> (u16, JoinHandle<std::io::Result<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = crate::tls::acceptor(&certificates).unwrap();
    let greeted = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        if !yes.is_empty() {
            stream.read_exact(&mut [0; 8]).await?;
            stream.write_all(yes).await?;
        }
        let mut stream = acceptor.accept(stream).await?;
        let mut first = vec![0; 4];
        stream.read_exact(&mut first).await?;
        Ok(first)
    });
    (port, greeted)
}
