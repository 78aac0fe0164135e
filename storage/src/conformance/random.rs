//! Random histories, compared with the model after each step.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::model::Model;
use super::plan::{Transactions, any_batch};
use super::{AMPLE, EVERYTHING};
use crate::{MessageStore, Seq};

pub(super) fn random_histories_equal_the_model<S: MessageStore>(open: impl Fn(u64) -> S) {
    let history = prop::collection::vec(any_batch(5000), 1..40);
    let config = Config { failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&history, |history| {
        let store = open(AMPLE);
        let mut model = Model::default();
        let mut transactions = Transactions::default();
        for plan in history {
            let batch = plan.batch(&model, &mut transactions);
            let expected = model.append(&batch);
            let lsn = store.append(batch);
            prop_assert_eq!(lsn.is_ok(), expected, "{:?}", lsn);
            for queue in Model::queues() {
                prop_assert_eq!(store.stats(queue), model.now.stats(queue));
            }
            prop_assert_eq!(store.checkpoint().ok(), Some(model.latest()));
        }
        holds_the_same(&store, &model)
    });
    run.unwrap();
}

pub(super) fn holds_the_same(
    store: &impl MessageStore,
    model: &Model,
) -> Result<(), TestCaseError> {
    for queue in Model::queues() {
        prop_assert_eq!(store.stats(queue), model.now.stats(queue));
        let mut out = Vec::new();
        let read = store.read(queue, Seq(0), EVERYTHING, &mut out);
        prop_assert!(read.is_ok());
        prop_assert_eq!(out, model.now.stored(queue));
    }
    Ok(())
}
