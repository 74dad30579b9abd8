import Diffusion
import Neural

/// What one stage minimises: forward and backward of its loss on a slice of a batch.
package protocol Objective: Sendable {
  associatedtype Network: Parameterized
  associatedtype Residuals: Sendable

  /// Names of the terms that `forward` returns, the minimised one first.
  var terms: [String] { get }

  /// Examples that go through the network together: a lane takes its slice by such parts, since
  /// what `forward` leaves behind for `backward` is the most of a training's memory.
  var together: Int { get }

  /// - Returns: the slice's share of every term's mean over the whole batch.
  func forward(_ network: Network, _ slice: Slice) -> (terms: [Double], residuals: Residuals)

  /// Adds the derivatives of the first term.
  ///
  /// - Parameter residuals: may be given up part by part, as they are used.
  func backward(
    _ network: Network, _ residuals: consuming Residuals, _ gradients: inout Gradients)

  /// What it has learnt from the losses of earlier updates: a part of a training's state. Nil for
  /// one that learns nothing.
  var memory: Matrix? { get set }

  /// Which parameters an update moves, by what their names begin with, nil for all; and how many of the
  /// `updates` that were made before have moved them.
  func moved(at step: Int, updates: Int) -> (part: String?, updates: Int)

  /// The losses of a slice that it is to learn from, row by row.
  func losses(_ residuals: borrowing Residuals) -> [TimestepLoss]

  /// Learns from an update: from the losses of all slices, in the order of the rows.
  mutating func learn(_ losses: [TimestepLoss])
}

extension Objective {
  package var together: Int { .max }
  package var memory: Matrix? {
    get { nil }
    set {}
  }
  package func moved(at step: Int, updates: Int) -> (part: String?, updates: Int) {
    (nil, updates)
  }
  package func losses(_ residuals: borrowing Residuals) -> [TimestepLoss] { [] }
  package func learn(_ losses: [TimestepLoss]) {}
}

/// Some rows of a batch, and the addresses of their random numbers.
package struct Slice: Sendable {
  /// Of images, `[rows, pixels]` in [0, 1]; of posteriors, `[rows, 2·dimensions]`.
  package let examples: Matrix
  /// The examples' numbers in their set, for what else is known of them.
  package var indices: [Int] = []
  /// Their classes, where they are known.
  package var labels: [Int]?
  /// Which rows of the batch these are.
  package let rows: Range<Int>
  /// Rows of the whole batch.
  package let batch: Int
  package let seed: UInt64
  package let step: Int
  /// False to evaluate: without dropout, noise on x̂0, what training withholds, and warm-ups, and
  /// by uniform timesteps.
  package var isTraining = true

  package func stream(_ purpose: RandomStream.Purpose) -> RandomStream {
    RandomStream(seed: seed, purpose: purpose, step: step)
  }
}
