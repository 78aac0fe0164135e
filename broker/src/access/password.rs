//! Passwords, and the hashes of them that are kept: RabbitMQ's, and argon2id.

use std::fmt;

use argon2::password_hash::{
    PasswordHash as PhcHash, PasswordHasher, PasswordVerifier, SaltString,
};
use argon2::{Argon2, Params};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;

/// Octets of salt before RabbitMQ's hashes.
const SALT: usize = 4;

/// Memory that checking an argon2id hash may take, KiB: a hash from elsewhere says how much it wants.
const ARGON2_MEMORY_MAX: u32 = 256 * 1024;

/// Rounds that checking such a hash may take.
const ARGON2_ROUNDS_MAX: u32 = 32;

/// A password, or a token that stands for one. It shows itself to nobody.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Its octets.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl<T: Into<Vec<u8>>> From<T> for Secret {
    fn from(octets: T) -> Self {
        Self(octets.into())
    }
}

/// How long it takes does not tell where two differ.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// How a password is hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-256 of salt and password.
    #[default]
    Sha256,
    /// SHA-512 of the same.
    Sha512,
    /// MD5 of the same: read, for users of very old brokers.
    Md5,
    /// Argon2id, which no RabbitMQ knows.
    Argon2id,
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::Sha256, Self::Sha512, Self::Md5, Self::Argon2id];

    /// The name in definitions.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "rabbit_password_hashing_sha256",
            Self::Sha512 => "rabbit_password_hashing_sha512",
            Self::Md5 => "rabbit_password_hashing_md5",
            Self::Argon2id => "rabbit_password_hashing_argon2id",
        }
    }

    /// Reads a name, with or without RabbitMQ's prefix, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let short = name.strip_prefix("rabbit_password_hashing_").unwrap_or(&name);
        Self::ALL.into_iter().find(|known| known.name().ends_with(&format!("_{short}")))
    }
}

/// What is kept of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    /// How it was hashed.
    pub algorithm: Algorithm,
    octets: Vec<u8>,
}

impl PasswordHash {
    /// Hashes a password with a salt of its own.
    pub fn new(algorithm: Algorithm, password: &Secret) -> Self {
        let octets = if algorithm == Algorithm::Argon2id {
            argon2id(password)
        } else {
            salted(algorithm, &rand::random::<[u8; SALT]>(), password.octets())
        };
        Self { algorithm, octets }
    }

    /// Reads the form that definitions have. An empty one is a password that nobody knows.
    ///
    /// # Errors
    /// It is not base64.
    pub fn decode(algorithm: Algorithm, text: &str) -> Result<Self, String> {
        let octets = STANDARD.decode(text).map_err(|error| error.to_string())?;
        Ok(Self { algorithm, octets })
    }

    /// The form that definitions have: base64.
    pub fn encode(&self) -> String {
        STANDARD.encode(&self.octets)
    }

    /// What is kept.
    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Whether there is a password at all.
    pub fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// Whether checking a password takes long.
    pub fn is_slow(&self) -> bool {
        self.algorithm == Algorithm::Argon2id
    }

    /// Whether this is the password, in a time that does not tell how much of it is right. An empty one
    /// never is.
    pub fn matches(&self, password: &Secret) -> bool {
        if password.octets().is_empty() {
            return false;
        }
        match (self.algorithm, self.octets.split_at_checked(SALT)) {
            (Algorithm::Argon2id, _) => self.matches_argon2id(password),
            (algorithm, Some((salt, _))) => {
                let offered = salted(algorithm, salt, password.octets());
                offered.ct_eq(&self.octets).into()
            }
            (_, None) => false,
        }
    }

    fn matches_argon2id(&self, password: &Secret) -> bool {
        let text = str::from_utf8(&self.octets).ok();
        let Some(hash) = text.and_then(|text| PhcHash::new(text).ok()) else { return false };
        let Ok(params) = Params::try_from(&hash) else { return false };
        params.m_cost() <= ARGON2_MEMORY_MAX
            && params.t_cost() <= ARGON2_ROUNDS_MAX
            && Argon2::default().verify_password(password.octets(), &hash).is_ok()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [hidden]", self.algorithm.name())
    }
}

fn salted(algorithm: Algorithm, salt: &[u8], password: &[u8]) -> Vec<u8> {
    fn hash<D: Digest>(salt: &[u8], password: &[u8]) -> Vec<u8> {
        D::new().chain_update(salt).chain_update(password).finalize().to_vec()
    }
    let hash = match algorithm {
        Algorithm::Sha512 => hash::<Sha512>(salt, password),
        Algorithm::Md5 => hash::<Md5>(salt, password),
        Algorithm::Sha256 | Algorithm::Argon2id => hash::<Sha256>(salt, password),
    };
    [salt, &hash].concat()
}

/// The PHC string; nothing, which no password matches, if there is not enough memory for it.
fn argon2id(password: &Secret) -> Vec<u8> {
    let Ok(salt) = SaltString::encode_b64(&rand::random::<[u8; 16]>()) else { return Vec::new() };
    let hash = Argon2::default().hash_password(password.octets(), &salt);
    hash.map(|hash| hash.to_string().into_bytes()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What RabbitMQ 3.10.8 has kept of guest's password.
    const GUEST: &str = "2O3QZRgpdU58OkNTWKlC0bi1rk9G+i5KORgTwjj8c/IEcZAK";

    #[test]
    fn rabbitmqs_hash_is_understood() {
        let hash = PasswordHash::decode(Algorithm::Sha256, GUEST).unwrap();
        assert!(hash.matches(&"guest".into()));
        assert!(!hash.matches(&"Guest".into()) && !hash.matches(&"".into()));
        assert_eq!(hash.encode(), GUEST);
    }

    #[test]
    fn every_algorithm_tells_its_password_from_others() {
        for algorithm in Algorithm::ALL {
            let hash = PasswordHash::new(algorithm, &"secret".into());
            assert!(hash.matches(&"secret".into()), "{algorithm:?}");
            let other = PasswordHash::new(algorithm, &"secret".into());
            assert_ne!(hash, other, "each has its own salt");
            for wrong in ["", "secre", "secret ", "Secret"] {
                assert!(!hash.matches(&wrong.into()), "{algorithm:?} {wrong:?}");
            }
            let read = PasswordHash::decode(algorithm, &hash.encode()).unwrap();
            assert_eq!(read, hash);
            assert_eq!(Algorithm::parse(algorithm.name()), Some(algorithm));
        }
        assert_eq!(Algorithm::parse("SHA512"), Some(Algorithm::Sha512));
        assert_eq!(Algorithm::parse("bcrypt"), None);
        assert_eq!(Algorithm::parse(""), None);
    }

    #[test]
    fn hashes_that_are_none_match_nothing() {
        for algorithm in Algorithm::ALL {
            for octets in
                [&b""[..], b"abc", b"abcd", b"$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$AAAA"]
            {
                let hash = PasswordHash { algorithm, octets: octets.to_vec() };
                assert!(!hash.matches(&"".into()) && !hash.matches(&"x".into()));
            }
        }
        assert!(PasswordHash::decode(Algorithm::Sha256, "no base64!").is_err());
    }

    #[test]
    fn neither_passwords_nor_hashes_are_shown() {
        let password = Secret::from("hunter2");
        let hash = PasswordHash::new(Algorithm::Sha256, &password);
        let shown = format!("{password:?} {hash:?}");
        assert!(!shown.contains("hunter2") && !shown.contains(&hash.encode()), "{shown}");
    }
}
