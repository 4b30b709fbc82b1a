"""A step of training that several devices or processes share.

Keras's own step takes the mean of the devices' losses, which weighs a device's pixels by how many
it ignores, and clips the gradient of each. Its `fit` fails under `MultiWorkerMirroredStrategy`
(https://github.com/keras-team/keras/issues/20585). Here the loss is that of the whole batch
(`whole_batch` sums over all devices), gradients are added, and the optimizer does the rest.
"""

from __future__ import annotations

from typing import Any

from easyseg._keras import keras
from easyseg.training.callbacks import inner_optimizer
from easyseg.training.distribution import replica_context
from easyseg.training.segmentation_loss import SegmentationLoss
from easyseg.training.workers import Workers


class SharedModel(keras.Model):
    """The network, whose batches are shared; the TensorFlow backend only."""

    segmentation_loss: SegmentationLoss
    workers: Workers

    def train_step(self, data: Any) -> dict[str, Any]:
        """One update from this process's part of a batch: images and masks."""
        loss, *gradients = self.workers.run(self.gradients, *data)
        self.optimizer.apply(gradients, self.trainable_variables)
        self._loss_tracker.update_state(loss)
        return dict(self.get_metrics_result())

    def gradients(self, images: Any, masks: Any) -> list[Any]:
        """The loss of the whole batch, and its gradient for each trainable variable.

        Called by each device with its part, `(N, h, w, 3)` and `(N, h, w)`.
        """
        import tensorflow as tf  # noqa: PLC0415

        context = replica_context()
        with tf.GradientTape() as tape:
            logits = self(images, training=True)
            loss = self.segmentation_loss.call(masks, logits)
            scaled = self.optimizer.scale_loss(loss)
        variables = [variable.value for variable in self.trainable_variables]
        gradients = tape.gradient(scaled, variables)
        return [loss, *(context.all_reduce("SUM", gradients) if context else gradients)]


def shared(model: Any, optimizer: Any, loss: SegmentationLoss, workers: Workers) -> SharedModel:
    """The same network on the same variables, compiled for a shared step.

    Args:
        model: A functional Keras model.
        optimizer: Its optimizer, which gets gradients that are added up already.
        loss: The loss.
        workers: The processes.
    """
    result = SharedModel(model.inputs, model.outputs)
    result.segmentation_loss, result.workers = loss, workers
    result.compile(optimizer, jit_compile=False)
    inner_optimizer(result)._all_reduce_sum_gradients = list  # else devices add them twice
    return result
