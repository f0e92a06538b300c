//! Certificates: an authority per platform, made here or [given], and what it signs.
//!
//! No client needed. Random numbers are used here (keys, serial numbers) and in
//! [`crate::credentials`], nowhere else.

pub mod given;

use jiff::{Span, Timestamp, tz::TimeZone};
use lotoai_plan::tls::{AUTHORITY_DAYS, path};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use snafu::{OptionExt, ResultExt, Snafu};
use x509_parser::time::ASN1Time;

/// Why no certificate could be made.
#[derive(Debug, Snafu)]
pub enum Error {
    /// The library refused the parameters or the key.
    #[snafu(display("failed to {step} for {subject:?}"))]
    Certificate {
        /// What was tried.
        step: &'static str,
        /// Common name of the certificate.
        subject: String,
        /// What the library said.
        source: rcgen::Error,
    },
    /// The authority's certificate is damaged.
    #[snafu(display("failed to read the authority's certificate for {subject:?}"))]
    Authority {
        /// Common name of the certificate that it should sign.
        subject: String,
    },
    /// The clock is outside of what a certificate can say.
    #[snafu(display("failed to reckon the life of a certificate from {now}"))]
    Clock {
        /// The time that was given.
        now: Timestamp,
        /// What the library said.
        source: jiff::Error,
    },
}

/// A certificate with its private key.
#[derive(Clone)]
pub struct Certified {
    /// The certificate, PEM, and those between it and the root that vouches for it.
    pub certificate: String,
    /// The private key, PEM.
    pub key: String,
    /// The end of its life.
    pub not_after: Timestamp,
}

impl std::fmt::Debug for Certified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certified")
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

fn authority_name(platform: &str) -> String {
    format!("LotoAI authority of {platform}")
}

/// Makes the authority of a platform.
///
/// # Errors
/// When the library refuses, or the clock is absurd.
pub fn authority(platform: &str, now: Timestamp) -> Result<Certified, Error> {
    let subject = authority_name(platform);
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, subject.as_str());
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let not_after = set_life(&mut params, now, AUTHORITY_DAYS.into())?;
    let key = KeyPair::generate().context(CertificateSnafu {
        step: "generate a key",
        subject: &subject,
    })?;
    let certificate = params.self_signed(&key).context(CertificateSnafu {
        step: "sign a certificate",
        subject: &subject,
    })?;
    Ok(Certified {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
        not_after,
    })
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Common name.
    pub subject: &'a str,
    /// DNS names and IP addresses.
    pub names: &'a [String],
    /// Life in days.
    pub days: u16,
}

/// Who signs.
#[derive(Clone, Copy)]
pub struct Signer<'a> {
    /// The [path](lotoai_plan::tls::path) of its certificate.
    pub path: &'a str,
    /// Its private key, PEM.
    pub key: &'a str,
}

impl std::fmt::Debug for Signer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Makes a certificate that lives no longer than who signs it.
///
/// # Errors
/// When the authority or a name is unusable, or the clock is absurd.
pub fn certificate(
    signer: Signer<'_>,
    request: Request<'_>,
    now: Timestamp,
) -> Result<Certified, Error> {
    let context = |step| CertificateSnafu {
        step,
        subject: request.subject,
    };
    let issuer_key = KeyPair::from_pem(signer.key).context(context("read the authority's key"))?;
    let issuer = Issuer::from_ca_cert_pem(signer.path, issuer_key)
        .context(context("read the authority's certificate"))?;
    let mut params =
        CertificateParams::new(request.names.to_vec()).context(context("read the names"))?;
    params.distinguished_name = DistinguishedName::new();
    // A common name ends at 64 characters. Clients look at the alternative names only.
    let common_name: String = request.subject.chars().take(64).collect();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let whole = set_life(&mut params, now, request.days.into())?;
    let limit = first_end(signer.path).context(AuthoritySnafu {
        subject: request.subject,
    })?;
    let not_after = whole.min(moment(&limit));
    if not_after < whole {
        params.not_after = limit.to_datetime();
    }
    let key = KeyPair::generate().context(context("generate a key"))?;
    let certificate = params
        .signed_by(&key, &issuer)
        .context(context("sign a certificate"))?;
    Ok(Certified {
        certificate: certificate.pem() + &path::below_root(signer.path),
        key: key.serialize_pem(),
        not_after,
    })
}

/// The end of the certificate of a path that ends first; nothing when one cannot be read.
fn first_end(path: &str) -> Option<ASN1Time> {
    let ends = path::blocks(path).into_iter().map(|block| {
        let der = CertificateDer::from_pem_slice(block.as_bytes()).ok()?;
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).ok()?;
        Some(certificate.validity().not_after)
    });
    ends.collect::<Option<Vec<_>>>()?.into_iter().min()
}

/// A time of a certificate. The year 9999 stands for a life without an end.
fn moment(time: &ASN1Time) -> Timestamp {
    Timestamp::from_second(time.timestamp()).unwrap_or(Timestamp::MAX)
}

/// Sets the life of a certificate in whole days, from yesterday on so that a clock which is a
/// little behind accepts it, and returns its end.
fn set_life(params: &mut CertificateParams, now: Timestamp, days: i64) -> Result<Timestamp, Error> {
    let day = now.to_zoned(TimeZone::UTC).date();
    let from = day
        .checked_sub(Span::new().days(1))
        .context(ClockSnafu { now })?;
    let to = day
        .checked_add(Span::new().days(days))
        .context(ClockSnafu { now })?;
    let convert = |date: jiff::civil::Date| {
        date_time_ymd(
            date.year().into(),
            date.month().unsigned_abs(),
            date.day().unsigned_abs(),
        )
    };
    params.not_before = convert(from);
    params.not_after = convert(to);
    Ok(to
        .to_zoned(TimeZone::UTC)
        .context(ClockSnafu { now })?
        .timestamp())
}

#[cfg(test)]
mod tests;
