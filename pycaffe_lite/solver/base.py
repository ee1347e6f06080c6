"""Solver: the training loop; what the rules of the solver types plug into."""

from __future__ import annotations

import logging
import math
import operator
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from pycaffe_lite import glog, random
from pycaffe_lite.blob import Array
from pycaffe_lite.errors import ArgumentError, ArgumentTypeError, SolverError
from pycaffe_lite.formats.atomic import StrPath
from pycaffe_lite.kernels.update import Gradient, Rule, sum_squares
from pycaffe_lite.net.detection_scores import DetectionSum
from pycaffe_lite.net.evaluate import Scores, ScoreSum, output_scores
from pycaffe_lite.net.net import Net
from pycaffe_lite.net.weights import Loaded, copy_from, fresh_in_all
from pycaffe_lite.printable import Lines
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.forks import FORKS
from pycaffe_lite.proto.prototxt import text_of
from pycaffe_lite.solver import (
    continuation,
    divergence,
    lr_policy,
    past_snapshots,
    schedules,
    settings,
    snapshot,
    weight_bounds,
)
from pycaffe_lite.solver.action import Action, ActionRequest, no_request
from pycaffe_lite.solver.forks import is_nvidias
from pycaffe_lite.solver.local_rates import Larc
from pycaffe_lite.solver.lookahead import Lookahead
from pycaffe_lite.solver.loss_window import LossWindow
from pycaffe_lite.solver.members import Members
from pycaffe_lite.solver.nets import SolverNets
from pycaffe_lite.solver.parts import LocalRates, SolverPart
from pycaffe_lite.solver.ranks import Ranks, Reduction, Step, build_alike, seed_of
from pycaffe_lite.solver.rate import Progress
from pycaffe_lite.solver.settings import SolverSource, solver_document
from pycaffe_lite.solver.updates import Updates

log = logging.getLogger(__name__)

OnNan = Literal["stop", "warn", "ignore"]


class Solver(Members):
    """Trains a net: forward, backward, update, again and again; tests and snapshots in between.

    One update, as in Caffe, clips all gradients and then takes each parameter through four steps:

        normalize             divide the gradient by iter_size
        regularize            add weight decay's gradient
        compute_update_value  the solver type's own rule
        update                w ← w − update value

    The methods of these names give the numbers of each step; the kernel `rule` takes the steps, in one pass
    over the memory. A solver type is a class with a rule and its numbers, see `sgd.py`.

    Args:
        source: a solver prototxt, or its message or document.
        dtype: of the nets: float32, or float64.
        strict: a field that the schema does not know is an error.
        action_request: asked after each update, and before each test batch, what to do.
        on_nan: what to do when the loss or a weight becomes infinite or NaN.
        fork: the fork of Caffe for which snapshots are written, if the net has fields that only forks have;
            None: the first that has all of them.
        keep: how many snapshots of the run to keep: once so many newer ones are complete, an older one is
            removed, both its files. None: all.
        ranks: this process and others that train the same net on other records, see `solver.ranks`; None:
            this one trains alone. All of them make the same calls. As in Caffe, rank 0 alone has the test
            nets, and its statistics of batch normalization are those of the snapshots.
        split_batch: whether the ranks share the batch that the prototxt gives; else each has a whole one.

    Attributes:
        document: the settings as they were read. param: their message, a SolverParameter.
        net, test_nets: the train net, and the nets tested every test_interval iterations. As in Caffe, a
            test net has weights of its own until it is first tested, or weights are loaded into the train
            net (`restore`, `net.copy_from`); from then on it shares the train net's. `share_weights` lets
            it do so at once.
        finetuned: what became of each file of `weights` in the train net.
        lineage: where its latest snapshot stands among those of the run.
        iter: number of iterations done. progress: how far lr_policy has got.
        history: the rule's memory, one array per parameter, or two (all first ones first).
        rate, decay: the learning rate and the weight decay of the latest update. regularization: its type.
        reduction: what averages the gradients of several ranks; None for one.
        last_test_scores: per test net, the mean outputs of the latest test.
        after_test: functions called as f(test net's index, its scores) after each test.
        after_test_batch: the same as f(test net's index, number of batches done) while testing.
        after_snapshot: the same as f(the state's path) once a snapshot is written.
        before_update: the same as f(the iteration's loss) once the gradients of an iteration are there.
        after_update: the same as f() once the update has been made and the iteration counted. Unlike
            those of `add_callback`, these do not have all gradients cleared before each forward pass.

    Raises:
        FileLookupError: a file is missing. PrototxtError: a prototxt cannot be read.
        SolverError: the settings contradict each other. NetError: a net cannot be built.
        SnapshotError: snapshots are asked for and cannot be written.
        ArgumentError: keep is below 1, or there is no such fork.

    Source: BVLC/caffe src/caffe/solver.cpp, src/caffe/solvers/sgd_solver.cpp
    """

    type: ClassVar[str] = ""
    # The kernel; its own numbers are those that compute_update_value gives.
    rule: ClassVar[Rule]
    histories: ClassVar[int] = 1
    takes_momentum: ClassVar[bool] = True
    # The regularization types of forks that the solver type's own numbers take care of.
    decays_apart: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        source: SolverSource,
        *,
        dtype: npt.DTypeLike = np.float32,
        strict: bool = False,
        action_request: ActionRequest = no_request,
        on_nan: OnNan = "stop",
        fork: str | None = None,
        keep: int | None = None,
        ranks: Ranks | None = None,
        split_batch: bool = False,
    ) -> None:
        if fork is not None and fork not in FORKS:
            raise ArgumentError(f"unknown fork '{fork}' (known: {', '.join(FORKS)})")
        if keep is not None and keep < 1:
            raise ArgumentError(f"a solver keeps at least 1 snapshot, not {keep}")
        document = solver_document(source, strict=strict)
        self.document = document
        self.param = document.message
        self.fork = fork
        self.keep = keep
        self.ranks = ranks
        self.lineage = continuation.Lineage.new()
        self.action_request = action_request
        self.on_nan: OnNan = on_nan
        self._iter = 0
        self.progress = Progress()
        self.rate = 0.0
        self.decay = self.param.weight_decay
        self.regularization = self.param.regularization_type
        self.last_test_scores: dict[int, Scores] = {}
        self.after_test: list[Callable[[int, Scores], object]] = []
        self.after_test_batch: list[Callable[[int, int], object]] = []
        self.after_snapshot: list[Callable[[Path], object]] = []
        self.before_update: list[Callable[[float], object]] = []
        self.after_update: list[Callable[[], object]] = []
        self._on_start: list[Callable[[], object]] = []
        self._on_gradients_ready: list[Callable[[], object]] = []
        self._stop_requested = self._has_compiled = self._warned_of_nan = False
        self._before_tests: continuation.Continuation | None = None
        glog.open_log()
        if log.isEnabledFor(logging.INFO):
            log.info("Initializing solver from parameters: \n%s", Lines(text_of(self.param)))
        self.check_settings()
        if self.param.random_seed >= 0:
            random.set_random_seed(seed_of(ranks, self.param.random_seed))
        self._build_nets(dtype, strict, split_batch)
        if self.param.snapshot > 0 or fork is not None:
            snapshot.check_net(self)
        self.window = LossWindow(self.param.average_loss)
        self.continue_window = False  # after a restore, the next step keeps the window
        self.history: list[Array] = [
            np.zeros(blob.shape, blob.dtype)
            for _ in range(self.histories)
            for blob in self.net.learnable_params
        ]
        owners = [param for param in self.net.param_table.params if param.owner is None]
        self._updates = Updates(self.choose_rule(), [f"update {param.layer.name}" for param in owners])
        self.local_rates = self.choose_local_rates()
        self._are_bounded = weight_bounds.are_bounded(self.param)
        self.lookahead = Lookahead(self.param, self.net.learnable_params) if self.param.lookahead else None
        self.reduction = None if ranks is None else ranks.reduction(self.net)
        log.info("Solver scaffolding done.")

    def check_settings(self) -> None:
        """Checks the settings that can be checked before a net is built.

        Raises:
            SolverError: a setting is out of range. SnapshotError: snapshots cannot be written.
        """
        p, place = self.param, self.document.where
        settings.check_settings(self.document)
        settings.check_forks(self.document, self.type, self.decays_apart)
        for name in ("average_loss", "iter_size"):
            if getattr(p, name) < 1:
                raise SolverError(f"{place((name,))}{name} must be at least 1, got {getattr(p, name)}")
        if not self.takes_momentum and p.momentum:
            where = place(("momentum",))
            raise SolverError(f"{where}solver type {self.type} takes no momentum, got {p.momentum:g}")
        if p.HasField("solver_mode") and p.solver_mode == caffe_pb2.SolverParameter.GPU:
            log.info("solver_mode GPU ignored: CPU only")
        if p.snapshot > 0 and self.writes_snapshots:
            snapshot.check_folder(p.snapshot_prefix, 0)

    def _build_nets(self, dtype: npt.DTypeLike, strict: bool, split_batch: bool) -> None:
        nets = SolverNets(self.document, strict=strict)
        document = nets.train_net()
        if self.ranks is None:
            self._net = Net.from_document(document, dtype=dtype)
        else:
            self._net = build_alike(self.ranks, self.param, document, dtype, split_batch)
            if self.ranks.rank:
                self.finetuned, self._test_nets = [], []
                self.ranks.broadcast([blob.data for blob in self.net.learnable_params])
                return
        weights = nets.weight_files()
        self.finetuned = self._finetune(self.net, weights)
        for name in fresh_in_all(self.finetuned):
            log.info("Layer %s is in none of these files and starts afresh", name)
        self._test_nets = []
        for document in nets.test_nets():
            net = Net.from_document(document, dtype=dtype)
            net.debug_info = self.param.debug_info
            self._finetune(net, weights)
            self.test_nets.append(net)
            self.net.followers.add(net)
        if self.ranks is not None:
            self.ranks.broadcast([blob.data for blob in self.net.learnable_params])

    @staticmethod
    def _finetune(net: Net, files: list[Path]) -> list[Loaded]:
        loaded = []
        for file in files:
            log.info("Finetuning from %s", file)
            loaded.append(copy_from(net, file))
        return loaded

    def add_callback(
        self, on_start: Callable[[], object] | Any, on_gradients_ready: Callable[[], object] | None = None
    ) -> None:
        """Has functions called in each iteration: before the forward pass, and before the update.

        Args:
            on_start, on_gradients_ready: the two functions; or a single object with methods of these names.

        Raises:
            ArgumentTypeError: one of the two is missing, or cannot be called.
        """
        if on_gradients_ready is None:
            on_gradients_ready = getattr(on_start, "on_gradients_ready", None)
            on_start = getattr(on_start, "on_start", None)
        if not (callable(on_start) and callable(on_gradients_ready)):
            raise ArgumentTypeError("add_callback takes two functions: on_start and on_gradients_ready")
        self._on_start.append(on_start)
        self._on_gradients_ready.append(on_gradients_ready)

    @property
    def writes_snapshots(self) -> bool:
        """Whether snapshots are written here: of several ranks, by the first alone."""
        return self.ranks is None or self.ranks.rank == 0

    @property
    def lr(self) -> float:
        """The learning rate that the policy gives now; asking may take a step of a stepwise lr_policy."""
        loss = self.smoothed_loss if self.window.losses and self.param.lr_policy == "plateau" else math.inf
        at = self.progress._replace(loss=loss)
        self.rate, self.progress = lr_policy.learning_rate(self.param, self.iter, at)
        return self.rate

    @property
    def momentum(self) -> float:
        """The momentum now."""
        return self.param.momentum

    @property
    def smoothed_loss(self) -> float:
        """The mean loss of the latest average_loss iterations of this run."""
        return self.window.smoothed

    # ------------------------------------------------------------------------------------------ training

    def solve(self, resume: StrPath | None = None) -> None:
        """Trains up to max_iter, with a last snapshot, display and test.

        Args:
            resume: a .solverstate to restore first.

        Raises:
            SolverError: the loss or a weight became NaN or infinite (with on_nan 'stop'), or a setting
                is wrong. SnapshotError: a snapshot cannot be written or restored.
        """
        glog.open_log()
        p = self.param
        if p.snapshot_after_train and self.writes_snapshots:
            snapshot.check_folder(p.snapshot_prefix, self.iter)
            snapshot.check_net(self)
        log.info("Solving %s", self.net.name)
        log.info("Learning Rate Policy: %s", p.lr_policy)
        if resume is not None:
            log.info("Restoring previous solver status from %s", resume)
            self.restore(resume)
        self.step(p.max_iter - self.iter)
        if p.snapshot_after_train and not (p.snapshot > 0 and self.iter % p.snapshot == 0):
            self.snapshot()
        if self._stop_requested:
            log.info("Optimization stopped early.")
            return
        if p.display > 0 and self.iter % p.display == 0:
            loss = self.net.forward_loss()
            if self.ranks is not None:
                loss = sum(self.ranks.gather(loss)) / self.ranks.count
            self.window.add(loss, self.iter)
            log.info("Iteration %d, loss = %g", self.iter, self.smoothed_loss)
        if p.test_interval > 0 and (self.iter - p.test_offset) % p.test_interval == 0:
            self.test_all()
        log.info("Optimization Done.")

    def step(self, iterations: int) -> None:
        """Trains for so many iterations; tests and snapshots fall due as the settings say."""
        glog.open_log()
        iterations = operator.index(iterations)
        p = self.param
        lr_policy.policy_of(p)
        start, end = self.iter, self.iter + iterations
        if not self.continue_window:
            self.window = LossWindow(p.average_loss, start=self.iter)
        self.continue_window = False
        self._stop_requested = False
        self._start_clock()
        while self.iter < end:
            self._clear_gradients()
            if self._test_is_due():
                self.test_all()
                if self._stop_requested:
                    break
            for callback in self._on_start:
                callback()
            display = p.display > 0 and self.iter % p.display == 0
            self.net.debug_info = display and p.debug_info
            loss, asked = self._forward_backward_in_turn(), Action.NONE
            if self.reduction is not None:
                loss, asked = self._finish_reduction(self.reduction, loss, is_first=self.iter == start)
            self.window.add(loss, self.iter)
            if display:
                self._log_progress()
            for callback in self._on_gradients_ready:
                callback()
            for hook in self.before_update:
                hook(loss)
            self.apply_update()
            for done in self.after_update:
                done()
            action = self.action_request() if self.reduction is None else asked
            if (p.snapshot > 0 and self.iter % p.snapshot == 0) or action is Action.SNAPSHOT:
                self.snapshot()
            if action is Action.STOP:
                self._stop_requested = True
                break

    def _clear_gradients(self) -> None:
        """Clears the gradients: at once if anybody may look at them, else when they are next added to."""
        if self._on_start or self.net.is_watched:
            self.net.clear_param_diffs()
            return
        for blob in self.net.learnable_params:
            blob.clear_diff()

    def _finish_reduction(self, reduction: Reduction, own: float, *, is_first: bool) -> Step:
        """Waits for the mean gradients of all ranks; returns their mean loss, and what to do then."""
        late = is_first or self._others_may_be_late()
        step = reduction.finish(own, self.action_request(), patient=late)
        if math.isfinite(own) and not math.isfinite(step.loss):
            self._report_nan(f"the mean loss became {step.loss:g}", lambda net: "on another rank")
        return step

    def _forward_backward_in_turn(self) -> float:
        """As `_forward_backward`; the first time, ranks of a host do not compile the same kernels at once."""
        if self._has_compiled or self.ranks is None:
            return self._forward_backward()
        with self.ranks.first_of_host_first():
            loss = self._forward_backward()
        self._has_compiled = True
        return loss

    def _forward_backward(self) -> float:
        """Adds up the gradients of iter_size batches; returns the mean of their losses."""
        total = 0.0
        run = self.net.forward_backward
        for left in range(self.param.iter_size, 0, -1):
            if left == 1 and self.reduction is not None:
                run = self.reduction.forward_backward  # the gradients are complete then
            loss = run()
            if not math.isfinite(loss):
                self._report_nan(f"the loss became {loss:g}", divergence.origin_in_forward)
            total += loss
        return total / self.param.iter_size

    def _report_nan(self, what: str, origin: Callable[[Net], str]) -> None:
        if self.on_nan == "ignore" or self._warned_of_nan:
            return
        message = (
            f"iteration {self.iter}: {what}: {origin(self.net)}; "
            "a lower base_lr or clip_gradients may help, and the last snapshot is untouched"
        )
        if self.on_nan == "stop":
            raise SolverError(message)
        log.warning("%s", message)
        self._warned_of_nan = True

    def _start_clock(self) -> None:
        self._clock, self._clock_iter = time.perf_counter(), self.iter

    def _log_progress(self) -> None:
        seconds = time.perf_counter() - self._clock
        speed = (self.iter - self._clock_iter) / (seconds or 1)
        log.info(
            "Iteration %d (%g iter/s, %gs/%d iters), loss = %g",
            *(self.iter, speed, seconds, self.param.display, self.smoothed_loss),
        )
        for line in output_scores(self.net).lines(lambda i, score: f"    Train net output #{i}: {score}"):
            log.info("%s", line)
        self._start_clock()

    # -------------------------------------------------------------------------------------------- update

    def apply_update(self) -> None:
        """Updates all parameters from their gradients and counts the iteration."""
        rate = self.lr
        if self.param.display > 0 and self.iter % self.param.display == 0:
            log.info("Iteration %d, lr = %g", self.iter, rate)
        if not self.param.disabled_update:
            self._update(rate)
        self._iter += 1

    def _update(self, rate: float) -> None:
        blobs = self.net.learnable_params
        self.decay = schedules.weight_decay(self.param, self.iter)
        clip, norm = self.clip_gradients(), self.normalize()
        if self.local_rates is None:
            etas = [rate * lr_mult for lr_mult in self.net.params_lr]
        else:
            etas = self.local_rates.rates(rate, clip * norm)
        numbers = [self.numbers(k, eta, clip, norm) for k, eta in enumerate(etas)]
        if not self._updates.run(numbers, blobs, self.update_history()):
            self._report_nan("a weight became infinite or NaN", divergence.origin_in_backward)
        if self.lookahead is not None:
            self.lookahead.after_update()
        if self._are_bounded:
            weight_bounds.bound_weights(self.param, blobs)

    def parts(self) -> dict[str, SolverPart]:
        """What goes on exactly only with a state of its own, beside the history, by name."""
        parts: dict[str, SolverPart | None] = {"lookahead": self.lookahead}
        if self.param.larc_turbo and isinstance(self.local_rates, Larc):
            parts["larc_turbo"] = self.local_rates
        return {name: part for name, part in parts.items() if part is not None}

    def choose_rule(self) -> Rule:
        """The kernel for the settings."""
        return self.rule

    def choose_local_rates(self) -> LocalRates | None:
        """What gives each parameter a rate of its own; None where it is the solver's times lr_mult."""
        return None

    def update_history(self) -> list[Array]:
        """The history arrays that the kernel takes."""
        return self.history

    def numbers(self, k: int, eta: float, clip: float, norm: float) -> tuple[float, ...]:
        """The kernel's numbers for parameter k, whose rate is η (eta)."""
        return (*Gradient(clip, norm, *self.regularize(k)), *self.compute_update_value(eta))

    def least_delta(self, least: float) -> float:
        """δ; with settings of NVIDIA's fork, which raises smaller ones, `least` at least."""
        return max(self.param.delta, least) if is_nvidias(self.param) else self.param.delta

    def clip_gradients(self) -> float:
        """The factor that brings the L2 norm of all gradients down to clip_gradients; 1 if it is lower.

        The gradients are those of all iter_size batches together, before weight decay.
        """
        limit = self.param.clip_gradients
        if limit < 0:
            return 1.0
        norm = math.sqrt(sum(sum_squares(b.diff.ravel()) for b in self.net.learnable_params))
        if not norm > limit:
            return 1.0
        factor = limit / norm
        log.info(
            "Gradient clipping: scaling down gradients (L2 norm %g > %g) by scale factor %g",
            *(norm, limit, factor),
        )
        return factor

    def normalize(self) -> float:
        """The factor that makes the gradients of iter_size batches their mean."""
        return 1.0 / self.param.iter_size

    def regularize(self, k: int) -> tuple[float, float]:
        """λ of parameter k for L2 and for L1 regularization: weight_decay · decay_mult for the one set.

        Both are 0 with jolibrain's regularization_type "decoupled", which some rules take care of themselves.
        """
        if self.regularization == "decoupled":
            return 0.0, 0.0
        decay = self.decay * self.net.params_weight_decay[k]
        return (0.0, decay) if self.regularization == "L1" else (decay, 0.0)

    def weight_decay(self, k: int) -> float:
        """λ of parameter k."""
        return self.decay * self.net.params_weight_decay[k]

    def compute_update_value(self, eta: float) -> tuple[float, ...]:
        """The numbers that the rule takes: first the rate η (lr times lr_mult), then its own."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------------------- testing

    def _test_is_due(self) -> bool:
        p = self.param
        return (
            p.test_interval > 0
            and (self.iter - p.test_offset) % p.test_interval == 0
            and (self.iter > 0 or p.test_initialization)
        )

    def _others_may_be_late(self) -> bool:
        """Whether a rank tests now, or has just written a snapshot."""
        p = self.param
        return self._test_is_due() or (p.snapshot > 0 and self.iter % p.snapshot == 0)

    def test_all(self) -> None:
        """Tests every test net with the weights as they are; a request to stop ends it."""
        self._before_tests = self.surroundings()
        for index in range(len(self.test_nets)):
            if not self._stop_requested:
                self._test(index)
        if self._stop_requested:
            # An abandoned test does not count as a test: the one after resuming sees the same data.
            continuation.restore(self._before_tests, self._nets)
        self._before_tests = None

    def surroundings(self) -> continuation.Continuation:
        """What a run needs to go on exactly, besides parameters and history; during a test, as before it."""
        return self._before_tests or continuation.capture(self._nets, self.window)

    @property
    def _nets(self) -> list[Net]:
        return [self.net, *self.test_nets]

    def _test(self, index: int) -> None:
        log.info("Iteration %d, Testing net (#%d)", self.iter, index)
        net = self.test_nets[index]
        net.share_with(self.net)
        total = ScoreSum()
        if self.param.eval_type == settings.DETECTION:
            total = DetectionSum(net, self.param.ap_version)
        for _ in range(self.param.test_iter[index]):
            if self.ranks is None:  # all ranks stop together, behind an iteration
                self._poll_while_testing()
            if self._stop_requested:
                log.info("Test interrupted.")
                return
            total.add(net.forward_loss(), output_scores(net))
            for batch_hook in self.after_test_batch:
                batch_hook(index, total.count)
        if self.param.test_compute_loss and total.count:
            log.info("Test loss: %g", total.mean_loss())
        if isinstance(total, DetectionSum):
            self._log_classes(total)
        scores = total.means()
        for line in scores.lines(lambda i, score: f"    Test net output #{i}: {score}"):
            log.info("%s", line)
        self.last_test_scores[index] = scores
        for hook in self.after_test:
            hook(index, scores)

    def _log_classes(self, total: DetectionSum) -> None:
        """Says how well each class is detected, where `show_per_class_result` asks for it."""
        for _, classes in total.of_classes():
            for label, precision in classes.items():
                if precision is None:
                    log.warning("Class %d was not detected once", label)
                elif self.param.show_per_class_result:
                    log.info("class%d: %g", label, precision)

    def _poll_while_testing(self) -> None:
        while (action := self.action_request()) is not Action.NONE:
            if action is Action.SNAPSHOT:
                self.snapshot()
            else:
                self._stop_requested = True
                return

    # ------------------------------------------------------------------------------- weights and snapshots

    def share_weights(self, net: Net) -> None:
        """Lets `net` use the train net's learnable data."""
        net.share_with(self.net)

    def snapshot(self) -> Path:
        """Writes weights and state, `<snapshot_prefix>_iter_<n>.caffemodel` and `.solverstate`.

        Returns:
            The state's path.

        Raises:
            SnapshotError: they cannot be written.
        """
        path = snapshot.write(self)
        if not self.writes_snapshots:
            return path
        if self.keep is not None:
            past_snapshots.remove_older(self.param.snapshot_prefix, self.lineage, self.keep)
        for hook in self.after_snapshot:
            hook(path)
        return path

    def restore(self, state_file: StrPath, *, exact: bool = False) -> None:
        """Goes back to where a snapshot was taken, also with the test nets, which share the weights.

        An unchanged run goes on exactly. Where the net, the data or the settings have changed since, what
        still fits is restored, and the log says what starts afresh; see `snapshot.restore`.

        Args:
            state_file: a .solverstate, ours or Caffe's.
            exact: refuse a state with which training cannot go on exactly.

        Raises:
            FileLookupError: the state or its weights are missing.
            SnapshotError: the state is damaged, or its history is of another size; or `exact` cannot be had.
            WeightsError: the weights do not fit the net.
            In each case nothing has changed.
        """
        snapshot.restore(self, state_file, exact=exact)
