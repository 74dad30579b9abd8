import Diffusion
import Neural

/// Which of the two random inputs of an image a path moves through.
public enum InterpolationSpace: String, CaseIterable, Sendable {
  /// The VAE's latent: global structure changes. All frames share y_T and every step's noise.
  case z
  /// The diffusion's start: detail changes. All frames share z.
  case xT
}

public enum InterpolationMode: String, CaseIterable, Sendable {
  /// The straight way.
  case lerp
  /// Along the great circle, which keeps the norm of noise.
  case slerp
}

/// A path between two images of a model.
public struct Interpolation: Sendable {
  public var space: InterpolationSpace
  public var mode: InterpolationMode
  public var frames: Int

  /// - Parameters:
  ///   - mode: lerp for z and slerp for xT unless given.
  ///   - frames: 2…1000, the two ends included.
  public init(_ space: InterpolationSpace, mode: InterpolationMode?, frames: Int) throws {
    guard (2...1000).contains(frames) else {
      throw UserError("frames is \(frames); it must be in 2...1000")
    }
    self.space = space
    self.mode = mode ?? (space == .z ? .lerp : .slerp)
    self.frames = frames
  }

  /// The frames of a path from one draft to another. What does not move is the first one's.
  func path(_ first: Draft, _ last: Draft) -> [Draft] {
    (0..<frames).map { frame in
      let fraction = Double(frame) / Double(frames - 1)
      var draft = first
      switch space {
      case .z:
        if let a = first.z, let b = last.z { draft.z = between(a, b, fraction) }
      case .xT:
        draft.start = between(first.start, last.start, fraction)
      }
      return draft
    }
  }

  private func between(_ a: Matrix, _ b: Matrix, _ fraction: Double) -> Matrix {
    switch mode {
    case .lerp: lerp(a, b, fraction)
    case .slerp: slerp(a, b, fraction)
    }
  }
}

extension Generator {
  /// The class of every path, by those of its ends where these are known.
  ///
  /// - Throws: ``UserError`` for ends of different classes, if the model is told one for the whole path.
  public func labels(from: [Int]?, to: [Int]?) throws -> [Int]? {
    guard let from, let to, options.label == nil, model.configuration.classes > 0 else {
      return from ?? to
    }
    if let (a, b) = zip(from, to).first(where: { $0 != $1 }) {
      throw UserError(
        """
        a path is of one class, which the model is told: its ends are of \(a) and \(b); \
        choose others, or give --label
        """)
    }
    return from
  }

  /// `pairs` paths, path `r` from image 2r of the seed towards the z (or the y_T) of image 2r + 1.
  ///
  /// - Parameters:
  ///   - from: latents to take for the first end of every path instead, `[pairs, latent]`.
  ///   - to: the same for the last end.
  ///   - labels: the class of every path, if not that of the options or of its first image.
  /// - Throws: ``UserError`` for more images than memory holds, and without a VAE for `z`.
  /// - Returns: the refined frames of all paths one after the other, `[pairs · frames, pixels]` in
  ///   [0, 1], and the VAE's reconstructions of the same frames; nil without a VAE.
  public func interpolate(
    _ interpolation: Interpolation, pairs: Int, from: Matrix? = nil, to: Matrix? = nil,
    labels: [Int]? = nil
  ) throws -> (frames: Matrix, reconstructions: Matrix?) {
    guard model.vae != nil || interpolation.space == .xT else {
      throw UserError("formulation none has no z to interpolate; use --space xT")
    }
    try check(count: 2 * pairs * interpolation.frames)
    let ends = try drafts(Array(0..<2 * pairs))
    let drafts = (0..<pairs).flatMap { pair in
      var (first, last) = (ends[2 * pair], ends[2 * pair + 1])
      if let from { first.z = from.rows(pair..<pair + 1) }
      if let to { last.z = to.rows(pair..<pair + 1) }
      if let labels, options.label == nil { first.label = labels[pair] }
      return interpolation.path(first, last)
    }
    return (try refine(drafts), model.vae == nil ? nil : try reconstructions(drafts))
  }
}
