use jiff::SignedDuration;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P521_SHA512, PKCS_ED25519,
    SignatureAlgorithm,
};
use rstest::rstest;

use super::*;
use crate::tls::tests::{accepts, signed};
use crate::tls::{authority, set_life};

/// An authority as somebody else makes it.
struct Made {
    params: CertificateParams,
    key: KeyPair,
    pem: String,
}

impl Made {
    fn key(&self) -> String {
        self.key.serialize_pem()
    }
}

/// What differs from a plain authority.
type Change = fn(&mut CertificateParams);

fn params(name: &str, change: Change) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    set_life(&mut params, Timestamp::now(), 100).unwrap();
    change(&mut params);
    params
}

fn root_with(algorithm: &'static SignatureAlgorithm, change: Change) -> Made {
    let params = params("Company root", change);
    let key = KeyPair::generate_for(algorithm).unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    Made { params, key, pem }
}

fn root(change: Change) -> Made {
    root_with(&PKCS_ECDSA_P256_SHA256, change)
}

fn below(above: &Made, name: &str, change: Change) -> Made {
    let params = params(name, change);
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::from_params(&above.params, &above.key);
    let pem = params.signed_by(&key, &issuer).unwrap().pem();
    Made { params, key, pem }
}

fn plain(_: &mut CertificateParams) {}

fn ends_in_ten_days(params: &mut CertificateParams) {
    set_life(params, Timestamp::now(), 10).unwrap();
}

fn ended(params: &mut CertificateParams) {
    let past = Timestamp::now() - SignedDuration::from_hours(20 * 24);
    set_life(params, past, 10).unwrap();
}

fn begins_later(params: &mut CertificateParams) {
    let future = Timestamp::now() + SignedDuration::from_hours(20 * 24);
    set_life(params, future, 10).unwrap();
}

fn no_authority(params: &mut CertificateParams) {
    params.is_ca = IsCa::NoCa;
}

fn may_not_sign(params: &mut CertificateParams) {
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
}

fn nameless(params: &mut CertificateParams) {
    params.distinguished_name = rcgen::DistinguishedName::new();
}

fn for_clients(params: &mut CertificateParams) {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
}

fn for_servers(params: &mut CertificateParams) {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
}

fn for_a_domain(params: &mut CertificateParams) {
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("example.com".to_owned())],
        excluded_subtrees: Vec::new(),
    });
}

fn none_below(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
}

fn one_below(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
}

fn read_now(certificates: &str, above: &str, key: &str) -> Result<Certified, Fault> {
    read(certificates, above, key, Timestamp::now())
}

#[rstest]
#[case::ecdsa_p256(&PKCS_ECDSA_P256_SHA256)]
#[case::ecdsa_p384(&PKCS_ECDSA_P384_SHA384)]
#[case::rsa(&PKCS_RSA_SHA256)]
fn a_root_signs_what_its_own_certificate_vouches_for(
    #[case] algorithm: &'static SignatureAlgorithm,
) {
    let made = root_with(algorithm, for_servers);
    // As cert-manager writes it: the root stands in ca.crt too.
    let given = read_now(&made.pem, &made.pem, &made.key()).unwrap();
    assert_eq!(given.certificate, made.pem);
    let leaf = signed(&given, Timestamp::now());
    assert!(accepts(&made.pem, &leaf, "demo-gateway"));
    assert!(!accepts(&made.pem, &leaf, "demo-agents"));
    let stranger = root(plain);
    assert!(!accepts(&stranger.pem, &leaf, "demo-gateway"));
}

#[test]
fn an_authority_below_a_root_sends_itself_along() {
    let top = root(plain);
    let middle = below(&top, "Company services", plain);
    let made = below(&middle, "Platforms", plain);
    // In any order, and with a stranger among them.
    let above = [root(plain).pem, top.pem.clone(), middle.pem.clone()].concat();
    let given = read_now(&made.pem, &above, &made.key()).unwrap();
    assert_eq!(
        given.certificate,
        [made.pem.as_str(), &middle.pem, &top.pem].concat()
    );
    let leaf = signed(&given, Timestamp::now());
    assert!(accepts(&top.pem, &leaf, "demo-gateway"));
    assert_eq!(path::root(&given.certificate), top.pem);

    let chain = [made.pem.as_str(), &middle.pem].concat();
    assert_eq!(
        read_now(&chain, &top.pem, &made.key()).unwrap().certificate,
        given.certificate
    );
    let fault = read_now(&chain, "", &made.key()).unwrap_err();
    assert!(
        fault
            .to_string()
            .contains("add the certificate of \"CN=Company root\""),
        "{fault}"
    );
}

#[test]
fn a_certificate_ends_with_the_first_of_its_path() {
    let top = root(ends_in_ten_days);
    let made = below(&top, "Platforms", plain);
    let now = Timestamp::now();
    let given = read_now(&made.pem, &top.pem, &made.key()).unwrap();
    let leaf = signed(&given, now);
    assert_eq!(leaf.not_after, given.not_after);
    assert!(leaf.not_after < now + SignedDuration::from_hours(10 * 24));
    assert!(accepts(&top.pem, &leaf, "demo-gateway"));
    // Not shorter than it need be.
    let own = authority("demo", now).unwrap();
    assert!(signed(&own, now).not_after > now + SignedDuration::from_hours(89 * 24));
}

#[test]
fn what_the_operator_makes_itself_could_be_given() {
    let own = authority("demo", Timestamp::now()).unwrap();
    let given = read_now(&own.certificate, "", &own.key).unwrap();
    assert_eq!(given.certificate, own.certificate);
    assert_eq!(given.not_after, own.not_after);
}

#[test]
fn text_around_certificates_and_before_the_key_is_left_out() {
    let made = root(plain);
    let certificates = format!("subject=Company root\n{}", made.pem.trim_end());
    let parameters =
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    let key = format!("{parameters}{}", made.key());
    let given = read_now(&certificates, "", &key).unwrap();
    assert_eq!(
        (given.certificate, given.key),
        (made.pem.clone(), made.key())
    );
}

#[rstest]
#[case::no_authority(no_authority, "isCA: true")]
#[case::may_not_sign(may_not_sign, "keyCertSign")]
#[case::ended(ended, "ended at")]
#[case::begins_later(begins_later, "is valid from")]
#[case::nameless(nameless, "is empty or names")]
#[case::for_clients(for_clients, "is restricted")]
#[case::for_a_domain(for_a_domain, "is restricted")]
fn a_root_that_cannot_be_used_is_refused(#[case] change: Change, #[case] expected: &str) {
    let made = root(change);
    let fault = read_now(&made.pem, "", &made.key())
        .unwrap_err()
        .to_string();
    assert!(fault.contains(expected), "{fault}");
}

#[rstest]
#[case::none_below(0, true)]
#[case::one_below(1, false)]
fn a_root_says_how_many_authorities_may_stand_below_it(#[case] most: u8, #[case] refused: bool) {
    let top = root(if most == 0 { none_below } else { one_below });
    let made = below(&top, "Platforms", plain);
    let read = read_now(&made.pem, &top.pem, &made.key());
    assert_eq!(
        matches!(read, Err(Fault::TooLong { .. })),
        refused,
        "{read:?}"
    );
    assert_eq!(read.is_err(), refused);
}

#[test]
fn a_key_is_that_of_the_certificate_and_one_that_everybody_understands() {
    let (made, other) = (root(plain), root(plain));
    let refused = |key: &str| read_now(&made.pem, "", key).unwrap_err();
    assert_eq!(refused(&other.key()), Fault::OtherKey);
    assert_eq!(refused("no key"), Fault::Key);
    for algorithm in [&PKCS_ED25519, &PKCS_ECDSA_P521_SHA512] {
        let made = root_with(algorithm, plain);
        let fault = read_now(&made.pem, "", &made.key()).unwrap_err();
        assert_eq!(fault, Fault::Key, "{algorithm:?}");
    }
}

#[rstest]
#[case::nothing("", "", CERTIFICATE)]
#[case::no_certificate("none", "", CERTIFICATE)]
#[case::damaged(
    "-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n",
    "",
    CERTIFICATE
)]
fn what_is_no_certificate_is_told_by_its_key(
    #[case] certificates: &str,
    #[case] above: &str,
    #[case] key: &'static str,
) {
    let made = root(plain);
    let fault = read_now(certificates, above, &made.key()).unwrap_err();
    assert_eq!(fault, Fault::NoCertificate { key });
    let fault = read_now(&made.pem, "none", &made.key()).unwrap_err();
    assert_eq!(fault, Fault::NoCertificate { key: AUTHORITY });
}
