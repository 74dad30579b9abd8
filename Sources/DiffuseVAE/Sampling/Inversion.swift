import Diffusion
import Neural
import RealModule

extension Generator {
  /// Corrections of every step of an inversion; see `ddimInversion`.
  static let refinements = 3

  /// The y_T from which the sampler draws given images, instead of those of `drafts`.
  ///
  /// - Parameter images: `[drafts, pixels]` in [0, 1].
  /// - Throws: ``UserError`` unless the sampler is deterministic DDIM, the one that is inverted here.
  func invert(_ drafts: [Draft], to images: Matrix) throws -> [Draft] {
    guard options.sampler == .ddim, options.eta == 0 else {
      throw UserError("only the sampler ddim with eta 0 is inverted")
    }
    let starts = try inBatches(drafts.map(\.number)) { places in
      let batch = try batch(places.map { drafts[$0] })
      let y0 = model.process.formulation.chain(
        fromImage: images.rows(at: places).affine(2, -1), batch.known.reconstruction)
      return try ddimInversion(
        of: y0, through: levels, refinements: Self.refinements, denoise: batch.denoise)
    }
    return drafts.indices.map { place in
      var draft = drafts[place]
      draft.start = starts.rows(place..<place + 1)
      return draft
    }
  }
}

/// The peak signal-to-noise ratio of each image to another, both `[images, pixels]` in [0, 1], in dB:
/// `-10 log10` of the mean squared difference.
package func peakSignalToNoise(_ images: Matrix, _ others: Matrix) -> [Double] {
  var difference = images
  difference.add(-1, others)
  return (0..<difference.rows).map { row in
    let error = difference.rows(row..<row + 1).squaredNorm / Double(difference.columns)
    return -10 * .log10(error)
  }
}
