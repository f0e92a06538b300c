//! An authority that the resource names: read and checked before anything is signed with it.
//!
//! No client needed.

use jiff::Timestamp;
use lotoai_api::reasons;
use lotoai_plan::tls::life::{LEAST_DAYS, is_worth_beginning};
use lotoai_plan::tls::{
    AUTHORITY, AUTHORITY_FIELD, CERTIFICATE, NEXT_CERTIFICATE, PRIVATE_KEY, path,
};
use lotoai_plan::{Invalid, Observed, Platform};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use snafu::{OptionExt, Snafu, ensure};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ExtendedKeyUsage;
use x509_parser::x509::X509Name;

use super::{Certified, moment};

/// Why an authority cannot be used: what is wrong, and what to do.
#[derive(Debug, Snafu, PartialEq, Eq)]
pub enum Fault {
    /// No certificate.
    #[snafu(display(
        "{key} holds what is no certificate in PEM; write the authority's certificate into \
         {CERTIFICATE} and those above it, up to the root, into {AUTHORITY}"
    ))]
    NoCertificate {
        /// The key of the Secret.
        key: &'static str,
    },
    /// No key that everybody understands.
    #[snafu(display(
        "{PRIVATE_KEY} holds no key that can be used; write one in PEM without a password, ECDSA \
         P-256 or P-384 or RSA of 2048 to 8192 bits"
    ))]
    Key,
    /// The key of something else.
    #[snafu(display(
        "{PRIVATE_KEY} is not the key of the first certificate in {CERTIFICATE}; write both of the \
         same authority"
    ))]
    OtherKey,
    /// A certificate that may sign no others.
    #[snafu(display(
        "the certificate of {subject:?} is not that of an authority; with cert-manager write  \
         isCA: true  into the Certificate, otherwise make one with basicConstraints CA:TRUE and \
         keyUsage keyCertSign"
    ))]
    NoAuthority {
        /// Whose certificate.
        subject: String,
    },
    /// A name that cannot be repeated in what it signs.
    #[snafu(display(
        "the subject {subject:?} of the authority is empty or names the same attribute twice; make \
         it with a plain one, such as a common name alone"
    ))]
    Subject {
        /// The name.
        subject: String,
    },
    /// A gap before the root.
    #[snafu(display(
        "nothing in {CERTIFICATE} or {AUTHORITY} vouches for {subject:?}: add the certificate of \
         {issuer:?} to {AUTHORITY}, and those above it, up to the root"
    ))]
    NoRoot {
        /// Who is not vouched for.
        subject: String,
        /// Who should.
        issuer: String,
    },
    /// More authorities below one than it allows.
    #[snafu(display(
        "{subject:?} allows fewer authorities below itself (pathlen) than there are; give an \
         authority that is nearer to it, or have it made with a longer path"
    ))]
    TooLong {
        /// Who allows it.
        subject: String,
    },
    /// A certificate that may not sign for every name or purpose.
    #[snafu(display(
        "the certificate of {subject:?} is restricted to names or purposes (nameConstraints, \
         extendedKeyUsage without serverAuth), and nobody would accept the servers inside; give \
         an authority without such a restriction"
    ))]
    Restricted {
        /// Whose certificate.
        subject: String,
    },
    /// Not yet valid.
    #[snafu(display(
        "the certificate of {subject:?} is valid from {from} on; give one that is now"
    ))]
    Early {
        /// Whose certificate.
        subject: String,
        /// Since when.
        from: Timestamp,
    },
    /// Ended.
    #[snafu(display("the certificate of {subject:?} ended at {end}; renew it"))]
    Ended {
        /// Whose certificate.
        subject: String,
        /// Its end.
        end: Timestamp,
    },
    /// Ends too soon to begin with it.
    #[snafu(display(
        "it ends at {end}, and its certificates would have to be renewed at once; give one that \
         lives for {LEAST_DAYS} days at least, with cert-manager by a longer duration"
    ))]
    EndsSoon {
        /// The end of the authority or of one above it.
        end: Timestamp,
    },
}

/// An authority that the resource names.
#[derive(Debug, Clone)]
pub struct Given {
    /// Name of the Secret that gives it.
    pub secret: String,
    /// Its path, its key, and when the first certificate of its path ends.
    pub authority: Certified,
}

/// The authority that the resource names, if it names one. Its Secret is there, which
/// [`lotoai_plan::validate()`] has seen.
///
/// # Errors
/// The field, and why the authority cannot be used.
pub fn given(
    platform: &Platform,
    observed: &Observed,
    now: Timestamp,
) -> Result<Option<Given>, Invalid> {
    let Some(name) = &platform.spec.tls.authority_secret_name else {
        return Ok(None);
    };
    let text = |key| {
        let value = observed.secret_value(&name.0, key).unwrap_or_default();
        String::from_utf8_lossy(value).into_owned()
    };
    let [certificates, above, key] = [CERTIFICATE, AUTHORITY, PRIVATE_KEY].map(text);
    let is_known = |path: &str| {
        let held = |key| observed.secret_value(&platform.authority_secret(), key);
        [CERTIFICATE, NEXT_CERTIFICATE]
            .map(held)
            .contains(&Some(path.as_bytes()))
    };
    let checked = read(&certificates, &above, &key, now).and_then(|authority| {
        let end = authority.not_after;
        let lasts = is_worth_beginning(end, now) || is_known(&authority.certificate);
        ensure!(lasts, EndsSoonSnafu { end });
        Ok(authority)
    });
    checked
        .map(|authority| {
            Some(Given {
                secret: name.to_string(),
                authority,
            })
        })
        .map_err(|fault| Invalid {
            field: AUTHORITY_FIELD.to_owned(),
            message: format!("Secret {name}: {fault}"),
            reason: reasons::INVALID_SPEC,
        })
}

/// The authority of these texts, with its path and the time when the first of it ends.
///
/// # Errors
/// Why it cannot be used now.
fn read(certificates: &str, above: &str, key: &str, now: Timestamp) -> Result<Certified, Fault> {
    let own = ders(certificates, CERTIFICATE)?;
    let others = ders(above, AUTHORITY)?;
    let pool = own
        .iter()
        .map(|der| link(der, CERTIFICATE))
        .chain(others.iter().map(|der| link(der, AUTHORITY)))
        .collect::<Result<Vec<_>, Fault>>()?;
    let first = own.first().and(pool.first());
    let first = first.context(NoCertificateSnafu { key: CERTIFICATE })?;
    check_subject(first.certificate.subject())?;
    let (key, public) = private_key(key)?;
    let held: &[u8] = &first.certificate.public_key().subject_public_key.data;
    ensure!(held == public.as_slice(), OtherKeySnafu);
    let path = path_of(first, &pool)?;
    let mut not_after = Timestamp::MAX;
    for (below, link) in path.iter().enumerate() {
        not_after = not_after.min(check(&link.certificate, below, now)?);
    }
    Ok(Certified {
        certificate: path.iter().map(|link| link.pem.as_str()).collect(),
        key,
        not_after,
    })
}

/// One certificate of a path.
struct Link<'a> {
    pem: String,
    certificate: X509Certificate<'a>,
}

/// The certificates of a text, with their text.
fn ders(text: &str, key: &'static str) -> Result<Vec<(String, CertificateDer<'static>)>, Fault> {
    path::blocks(text)
        .into_iter()
        .map(|block| {
            let der = CertificateDer::from_pem_slice(block.as_bytes()).ok();
            let der = der.context(NoCertificateSnafu { key })?;
            // Another certificate may follow in the same text.
            Ok((format!("{}\n", block.trim_end()), der))
        })
        .collect()
}

fn link<'a>(
    (pem, der): &'a (String, CertificateDer<'static>),
    key: &'static str,
) -> Result<Link<'a>, Fault> {
    let parsed = x509_parser::parse_x509_certificate(der).ok();
    let (_, certificate) = parsed.context(NoCertificateSnafu { key })?;
    Ok(Link {
        pem: pem.clone(),
        certificate,
    })
}

/// What it signs bears its name, and the library can write only such as these.
fn check_subject(subject: &X509Name<'_>) -> Result<(), Fault> {
    let kinds: Vec<_> = subject
        .iter_attributes()
        .map(|attribute| attribute.attr_type())
        .collect();
    let unique = kinds
        .iter()
        .enumerate()
        .all(|(index, kind)| !kinds.iter().take(index).any(|other| other == kind));
    let single = subject.iter().count() == kinds.len();
    ensure!(
        !kinds.is_empty() && unique && single,
        SubjectSnafu {
            subject: subject.to_string()
        }
    );
    Ok(())
}

/// The private key in a text, PEM, and its public half.
fn private_key(text: &str) -> Result<(String, Vec<u8>), Fault> {
    let section = section(text).context(KeySnafu)?;
    let key = KeyPair::from_pem(section).ok().context(KeySnafu)?;
    // Those of which every server, client and library of the platform can check signatures.
    let known = [
        &PKCS_ECDSA_P256_SHA256,
        &PKCS_ECDSA_P384_SHA384,
        &PKCS_RSA_SHA256,
    ];
    ensure!(known.contains(&key.algorithm()), KeySnafu);
    Ok((format!("{section}\n"), key.public_key_raw().to_vec()))
}

/// The section with the private key: parameters of its curve may stand before it.
fn section(text: &str) -> Option<&str> {
    const BEGIN: &str = "-----BEGIN ";
    const END: &str = "PRIVATE KEY-----";
    let mark = text.find(END)?;
    let begin = text.get(..mark)?.rfind(BEGIN)?;
    let end = mark + END.len();
    let end = end + text.get(end..)?.find(END)? + END.len();
    text.get(begin..end)
}

/// The authority and those above it, up to the root.
fn path_of<'p, 'a>(first: &'p Link<'a>, pool: &'p [Link<'a>]) -> Result<Vec<&'p Link<'a>>, Fault> {
    let mut path = vec![first];
    let mut last = first;
    while last.certificate.subject().as_raw() != last.certificate.issuer().as_raw() {
        let above = pool.iter().find(|above| vouches(above, last));
        // Those that vouch for each other in a circle have no root.
        let above = above.filter(|_| path.len() <= pool.len());
        last = above.with_context(|| NoRootSnafu {
            subject: last.certificate.subject().to_string(),
            issuer: last.certificate.issuer().to_string(),
        })?;
        path.push(last);
    }
    Ok(path)
}

fn vouches(above: &Link<'_>, below: &Link<'_>) -> bool {
    let (above, below) = (&above.certificate, &below.certificate);
    above.subject().as_raw() == below.issuer().as_raw()
        && below.verify_signature(Some(above.public_key())).is_ok()
}

/// Whether a certificate may sign others now, with so many authorities below it; its end.
fn check(
    certificate: &X509Certificate<'_>,
    below: usize,
    now: Timestamp,
) -> Result<Timestamp, Fault> {
    let subject = certificate.subject().to_string();
    let usage = certificate.key_usage();
    let signs = usage.is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()));
    ensure!(certificate.is_ca() && signs, NoAuthoritySnafu { subject });
    let names = certificate.name_constraints();
    let purposes = certificate.extended_key_usage();
    let serves = |usage: &ExtendedKeyUsage<'_>| usage.any || usage.server_auth;
    let free = names.is_ok_and(|names| names.is_none())
        && purposes.is_ok_and(|usage| usage.is_none_or(|usage| serves(usage.value)));
    ensure!(free, RestrictedSnafu { subject });
    let constraints = certificate.basic_constraints().ok().flatten();
    let most = constraints.and_then(|constraints| constraints.value.path_len_constraint);
    let fits = most.is_none_or(|most| usize::try_from(most).is_ok_and(|most| below <= most));
    ensure!(fits, TooLongSnafu { subject });
    let life = certificate.validity();
    let (from, end) = (moment(&life.not_before), moment(&life.not_after));
    ensure!(from <= now, EarlySnafu { subject, from });
    ensure!(now < end, EndedSnafu { subject, end });
    Ok(end)
}

#[cfg(test)]
mod tests;
