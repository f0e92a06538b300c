use std::sync::Arc;

use rstest::rstest;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

use super::*;

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn request(names: &[String]) -> Request<'_> {
    Request {
        subject: "demo-gateway",
        names,
        days: 90,
    }
}

/// A certificate that the authority signs.
pub(super) fn signed(authority: &Certified, now: Timestamp) -> Certified {
    let signer = Signer {
        path: &authority.certificate,
        key: &authority.key,
    };
    certificate(signer, request(&names()), now).unwrap()
}

fn names() -> Vec<String> {
    ["demo-gateway", "demo-gateway.ai.svc", "127.0.0.1"]
        .map(str::to_owned)
        .to_vec()
}

#[test]
fn a_certificate_lives_as_long_as_it_was_asked_for() {
    let authority = authority("demo", NOW).unwrap();
    let made = signed(&authority, NOW);
    assert!(made.certificate.starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(made.key.starts_with("-----BEGIN PRIVATE KEY-----"));
    let days = |end: Timestamp| end.duration_since(NOW).as_hours() / 24;
    assert!((89..=90).contains(&days(made.not_after)));
    assert!((3649..=3650).contains(&days(authority.not_after)));
}

#[test]
fn an_unusable_key_is_an_error_that_names_the_step() {
    let authority = authority("demo", NOW).unwrap();
    for (path, key, step) in [
        (
            &*authority.certificate,
            "not a key",
            "read the authority's key",
        ),
        ("none", &*authority.key, "read the authority's certificate"),
    ] {
        let signer = Signer { path, key };
        let error = certificate(signer, request(&names()), NOW).unwrap_err();
        assert!(error.to_string().contains(step), "{error}");
    }
}

/// Hands what one end has to say to the other.
fn hand_over(
    said: &[u8],
    read: &mut dyn FnMut(&mut &[u8]) -> Result<(), rustls::Error>,
) -> Result<(), rustls::Error> {
    let mut rest = said;
    while !rest.is_empty() {
        read(&mut rest)?;
    }
    Ok(())
}

/// Whether a client that trusts `roots` and means `host` takes the server for it.
pub(super) fn accepts(roots: &str, served: &Certified, host: &str) -> bool {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(roots.as_bytes()) {
        store.add(root.unwrap()).unwrap();
    }
    let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(store)
        .with_no_client_auth();
    let chain = CertificateDer::pem_slice_iter(served.certificate.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(served.key.as_bytes()).unwrap();
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    while client.is_handshaking() {
        let mut said = Vec::new();
        client.write_tls(&mut said).unwrap();
        hand_over(&said, &mut |rest| {
            server.read_tls(rest).unwrap();
            server.process_new_packets().map(drop)
        })
        .unwrap();
        let mut said = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut said).unwrap();
        }
        let taken = hand_over(&said, &mut |rest| {
            client.read_tls(rest).unwrap();
            client.process_new_packets().map(drop)
        });
        if taken.is_err() {
            return false;
        }
    }
    true
}

#[rstest]
#[case::its_name("demo-gateway", true)]
#[case::its_full_name("demo-gateway.ai.svc", true)]
#[case::its_address("127.0.0.1", true)]
#[case::another_component("demo-agents", false)]
#[case::another_namespace("demo-gateway.other.svc", false)]
#[case::another_address("127.0.0.2", false)]
fn a_server_is_taken_for_what_its_certificate_names(#[case] host: &str, #[case] expected: bool) {
    let now = Timestamp::now();
    let authority = authority("demo", now).unwrap();
    let made = signed(&authority, now);
    assert_eq!(accepts(&authority.certificate, &made, host), expected);
}

/// Both authorities of a platform have the same name.
#[test]
fn one_authority_does_not_vouch_for_what_another_has_signed() {
    let now = Timestamp::now();
    let (old, new) = (
        authority("demo", now).unwrap(),
        authority("demo", now).unwrap(),
    );
    let made = signed(&new, now);
    assert!(!accepts(&old.certificate, &made, "demo-gateway"));
    for bundle in [
        [old.certificate.as_str(), &new.certificate].concat(),
        [new.certificate.as_str(), &old.certificate].concat(),
    ] {
        assert!(accepts(&bundle, &made, "demo-gateway"));
    }
}

#[test]
fn a_certificate_that_has_ended_is_refused() {
    let now = Timestamp::now();
    let authority = authority("demo", now).unwrap();
    let past = now - jiff::SignedDuration::from_hours(92 * 24);
    let made = signed(&authority, past);
    assert!(!accepts(&authority.certificate, &made, "demo-gateway"));
}
