//! What we ask of a TLS connection.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use s3_proto::{Error, ErrorKind};

/// Whom to trust.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// PEM files' contents, beside the roots that browsers trust.
    pub extra_roots: Vec<Vec<u8>>,
    /// Accepts any certificate: for test servers only.
    pub accept_invalid: bool,
}

impl Trust {
    /// What rustls is told; `h2` offers HTTP/2 beside HTTP/1.1.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] if a root certificate cannot be read or used.
    pub fn config(&self, h2: bool) -> Result<Arc<ClientConfig>, Error> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| bad("TLS could not be set up", error))?;
        let mut config = if self.accept_invalid {
            tracing::warn!("certificates are not checked: anybody can read and change what is transferred");
            let verifier = Arc::new(AcceptAll(provider));
            builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
        } else {
            builder.with_root_certificates(self.roots()?).with_no_client_auth()
        };
        config.alpn_protocols =
            if h2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
        Ok(Arc::new(config))
    }

    fn roots(&self) -> Result<RootCertStore, Error> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for pem in &self.extra_roots {
            let mut any = false;
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| bad("a root certificate is not PEM", error))?;
                roots.add(certificate).map_err(|error| bad("a root certificate cannot be used", error))?;
                any = true;
            }
            if !any {
                return Err(Error::new(ErrorKind::Configuration, "there is no certificate in the PEM given"));
            }
        }
        Ok(roots)
    }
}

fn bad(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Configuration, format!("{what}: {error}")).with_source(error)
}

/// For test servers with certificates of their own making.
#[derive(Debug)]
struct AcceptAll(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
