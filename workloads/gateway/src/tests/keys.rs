//! Signing keys made for a test, and a realm that publishes them.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::identity::token::now;

pub(crate) const ISSUER: &str = "https://ai.example.org/realms/lotoai";
pub(crate) const AUDIENCE: &str = "lotoai";
pub(crate) const DISCOVERY: &str = "/realms/lotoai/.well-known/openid-configuration";
pub(crate) const CERTS: &str = "/realms/lotoai/protocol/openid-connect/certs";

/// A private key with its id.
#[derive(Clone)]
pub(crate) struct Signer {
    pub(crate) id: String,
    pub(crate) algorithm: Algorithm,
    key: EncodingKey,
    /// The public key, as DER of a SubjectPublicKeyInfo.
    public: Vec<u8>,
}

impl Signer {
    pub(crate) fn ec(id: &str) -> Self {
        let rng = aws_lc_rs::rand::SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).unwrap();
        let key = EncodingKey::from_ec_der(pkcs8.as_ref());
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref());
        let public: PublicKeyX509Der<'_> = pair.unwrap().public_key().as_der().unwrap();
        Self {
            id: id.to_owned(),
            algorithm: Algorithm::ES256,
            key,
            public: public.as_ref().to_vec(),
        }
    }

    pub(crate) fn rsa(id: &str) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        // The signing library takes the PKCS#1 key, which a PKCS#8 one of this size holds after
        // 26 bytes of header.
        let key = EncodingKey::from_rsa_der(&pkcs8.as_ref()[26..]);
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        Self {
            id: id.to_owned(),
            algorithm: Algorithm::RS256,
            key,
            public: public.as_ref().to_vec(),
        }
    }

    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.id.clone());
        let mut jwk = serde_json::to_value(jwk).unwrap();
        jwk["use"] = json!("sig");
        jwk
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.id.clone());
        encode(&header, claims, &self.key).unwrap()
    }

    /// The classic confusion: these claims with the public key, which everybody has, as a shared
    /// secret, in every form in which a verifier could hold it.
    pub(crate) fn confused(&self, claims: &Value) -> Vec<(&'static str, String)> {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(self.id.clone());
        let jwk = self.jwk();
        let number = jwk["n"].as_str().or(jwk["x"].as_str()).unwrap();
        let base64 = STANDARD.encode(&self.public);
        let lines: Vec<&str> = base64
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        let lines = lines.join("\n");
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----");
        let forms: [(&str, Vec<u8>); 6] = [
            ("HS256 with the number", number.into()),
            ("HS256 with the DER", self.public.clone()),
            ("HS256 with the DER in base64", base64.into()),
            ("HS256 with the PEM", format!("{pem}\n").into()),
            ("HS256 with the PEM without its last newline", pem.into()),
            ("HS256 with the JWK", jwk.to_string().into()),
        ];
        let signed = forms.into_iter().map(|(form, secret)| {
            let secret = EncodingKey::from_secret(&secret);
            (form, encode(&header, claims, &secret).unwrap())
        });
        signed.collect()
    }

    /// A token that is good in every respect.
    pub(crate) fn token(&self, subject: &str, groups: &[&str]) -> String {
        let mut claims = claims(subject);
        claims["groups"] = json!(groups);
        self.sign(&claims)
    }
}

/// Claims that are good in every respect.
pub(crate) fn claims(subject: &str) -> Value {
    json!({
        "iss": ISSUER, "aud": ["account", AUDIENCE], "sub": subject, "typ": "Bearer",
        "preferred_username": format!("{subject}-name"),
        "iat": now(), "nbf": now(), "exp": now() + 300,
    })
}

/// A realm that publishes `signers`, and an encryption key that nobody may sign with.
pub(crate) async fn realm(signers: &[&Signer]) -> MockServer {
    let server = MockServer::start().await;
    publish(&server, signers).await;
    server
}

/// The claims of a token, unchecked.
pub(crate) fn claims_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

pub(crate) async fn publish(server: &MockServer, signers: &[&Signer]) {
    publish_as(server, ISSUER, signers).await;
}

pub(crate) async fn publish_as(server: &MockServer, issuer: &str, signers: &[&Signer]) {
    // As Keycloak answers at its Service: what only the gateway calls has the address of that.
    let inside = format!("{}/realms/lotoai/protocol/openid-connect", server.uri());
    let document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/protocol/openid-connect/auth"),
        "token_endpoint": format!("{inside}/token"),
        "jwks_uri": format!("{inside}/certs"),
        "end_session_endpoint": format!("{inside}/logout"),
        "revocation_endpoint": format!("{inside}/revoke"),
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic"],
    });
    Mock::given(method("GET"))
        .and(path(DISCOVERY))
        .respond_with(ResponseTemplate::new(200).set_body_json(document))
        .mount(server)
        .await;
    let mut keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
    let mut encryption = Signer::rsa("encryption").jwk();
    encryption["use"] = json!("enc");
    encryption["alg"] = json!("RSA-OAEP");
    keys.push(encryption);
    Mock::given(method("GET"))
        .and(path(CERTS))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "keys": keys })))
        .mount(server)
        .await;
}
