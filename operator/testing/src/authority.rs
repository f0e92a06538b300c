//! Certificates for the servers of a test.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, Error, IsCa, KeyPair};

/// Who signs the certificates of a test.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub struct Issued {
    /// The certificate, PEM.
    pub pem: String,
    /// Its key, PEM.
    pub key_pem: String,
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// Its key, PKCS #8 in DER.
    pub key_der: Vec<u8>,
}

impl Authority {
    /// Another one, with a key of its own, at each call.
    ///
    /// # Errors
    /// When the key cannot be made.
    pub fn new() -> Result<Self, Error> {
        let mut parameters = CertificateParams::new(Vec::new())?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = &mut parameters.distinguished_name;
        name.push(DnType::CommonName, "authority of the tests");
        let key = KeyPair::generate()?;
        Ok(Self(CertifiedIssuer::self_signed(parameters, key)?))
    }

    /// Signs a certificate for a server of these names.
    ///
    /// # Errors
    /// When one of them is none.
    pub fn issue(&self, names: &[&str]) -> Result<Issued, Error> {
        let key = KeyPair::generate()?;
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let parameters = CertificateParams::new(names)?;
        let certificate = parameters.signed_by(&key, &self.0)?;
        Ok(Issued {
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            der: certificate.der().to_vec(),
            key_der: key.serialize_der(),
        })
    }

    /// Its own certificate, PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Its own certificate, DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        self.0.der()
    }
}
