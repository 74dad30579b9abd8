import Diffusion
import Neural

/// Which of the random inputs of an image a path moves through.
public enum InterpolationSpace: String, CaseIterable, Sendable {
  /// The VAE's latent: global structure changes. All frames share y_T and every step's noise.
  case z
  /// The diffusion's start: detail changes. All frames share z.
  case xT
  /// Both at once: from one image, detail and all, to another.
  case both
}

public enum InterpolationMode: String, CaseIterable, Sendable {
  /// The straight way.
  case lerp
  /// Along the great circle, which keeps the norm of noise.
  case slerp
}

/// How a path leads from image to image of a model.
public struct Interpolation: Sendable {
  public var space: InterpolationSpace
  /// Nil for lerp through z and slerp through y_T.
  public var mode: InterpolationMode?
  /// From one image to the next, both included.
  public var frames: Int

  /// - Parameter frames: 2…1000.
  public init(_ space: InterpolationSpace, mode: InterpolationMode?, frames: Int) throws {
    guard (2...1000).contains(frames) else {
      throw UserError("frames is \(frames); it must be in 2...1000")
    }
    (self.space, self.mode, self.frames) = (space, mode, frames)
  }

  /// Frames of a path through so many images.
  package func length(through stops: Int) -> Int { max(0, stops - 1) * (frames - 1) + 1 }

  /// The frames of a path through some drafts, each of which it meets. What does not move, and the
  /// class, is the first one's.
  func path(through stops: [Draft]) -> [Draft] {
    zip(stops, stops.dropFirst()).enumerated().flatMap { number, ends in
      // Every part but the first begins where the one before has ended.
      (number == 0 ? 0..<frames : 1..<frames).map { frame in
        let fraction = Double(frame) / Double(frames - 1)
        var draft = stops[0]
        if space != .xT, let a = ends.0.z, let b = ends.1.z {
          draft.z = between(a, b, fraction, mode ?? .lerp)
        }
        if space != .z {
          draft.start = between(ends.0.start, ends.1.start, fraction, mode ?? .slerp)
        }
        return draft
      }
    }
  }

  private func between(
    _ a: Matrix, _ b: Matrix, _ fraction: Double, _ mode: InterpolationMode
  ) -> Matrix {
    switch mode {
    case .lerp: lerp(a, b, fraction)
    case .slerp: slerp(a, b, fraction)
    }
  }
}

extension Generator {
  /// The frames of some paths, each through as many drafts.
  ///
  /// - Throws: ``UserError`` for more images than memory holds, for paths through a z that there is
  ///   not, and for neighbours between which nothing moves.
  /// - Returns: the refined frames of all paths one after the other, `[paths · length, pixels]` in
  ///   [0, 1], and the VAE's reconstructions of the same frames; nil without a VAE.
  package func interpolate(
    _ interpolation: Interpolation, through paths: [[Draft]]
  ) throws -> (frames: Matrix, reconstructions: Matrix?) {
    guard model.vae != nil || interpolation.space == .xT else {
      throw UserError("formulation none has no z to interpolate; use --space xT")
    }
    for (a, b) in paths.flatMap({ zip($0, $0.dropFirst()) }) {
      guard
        interpolation.space != .xT && a.z != b.z || interpolation.space != .z && a.start != b.start
      else { throw UserError("two neighbours on a path do not differ in what it moves through") }
    }
    let total = paths.map { interpolation.length(through: $0.count) }.reduce(0, +)
    guard total <= 1_000_000 else {
      throw UserError("the paths have \(total) frames in all; they may have 1000000")
    }
    try check(count: 2 * total)
    let drafts = paths.flatMap(interpolation.path(through:))
    return (try refine(drafts), model.vae == nil ? nil : try reconstructions(drafts))
  }
}

/// How far each frame of some paths is from the one before it: Euclidean distances of their pixels.
///
/// - Parameters:
///   - frames: of all paths one after the other.
///   - length: frames of a path.
package func stepLengths(_ frames: Matrix, length: Int) -> [Double] {
  (1..<max(1, frames.rows)).filter { $0 % length > 0 }.map { row in
    var step = frames.rows(row..<row + 1)
    step.add(-1, frames.rows(row - 1..<row))
    return step.squaredNorm.squareRoot()
  }
}
