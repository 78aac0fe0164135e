//! Which passwords `credential_validator` allows.

use super::super::auth::CredentialValidator;
use super::Given;

#[test]
fn what_new_passwords_must_be_can_be_chosen() {
    let accepts = Given::new(&[]).config().auth.validator;
    assert_eq!(accepts.check(&"".into()), Ok(()));
    let least = CredentialValidator::MinLength(3);
    assert_eq!(least.check(&"abc".into()), Ok(()));
    let why = least.check(&"ab".into()).unwrap_err();
    assert_eq!(why, "minimum required password length is 3");
    let like = CredentialValidator::Pattern("^[a-z]+[0-9]$".to_owned());
    assert_eq!(like.check(&"abc1".into()), Ok(()));
    let why = like.check(&"abc".into()).unwrap_err();
    assert_eq!(why, "provided password does not match the validator regular expression");
}
