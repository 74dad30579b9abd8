import Diffusion
import Formats
import Neural

/// The variance of y0 given y_t, per pixel and its mean over y_t, as far as a trained denoiser knows
/// y0: the mean square of its error. Ancestral sampling with variance `analytic` needs it (Bao et al.
/// 2022).
///
/// It is measured at some timesteps, and is between them as great a share of the noise's variance
/// σ² as it is at these: it rises like σ² near clean data, where it would bend most. Of a network
/// whose error of x0 grows without limit towards pure noise, as that of ε over α does unless x0 is
/// clipped, the share is of σ²/ᾱ. It is that of the network as it is, without guidance.
package struct PosteriorVariance: Equatable, Sendable {
  /// Images that it is measured on.
  static let images = 256
  /// Timesteps at which it is measured.
  static let places = 50
  /// Its tensor's name in the denoiser's file.
  static let name = "y0_errors"

  /// At timesteps in equal distances, the first one and the last one among them.
  private let errors: [Float]
  private let timesteps: [Int]
  /// The same, over σ² or σ²/ᾱ.
  private let shares: [Double]
  private let isOfNoise: Bool

  /// - Parameter errors: one at least, and at most one for each timestep.
  /// - Throws: `DiffusionError` when that is not so.
  init(errors: [Float], _ process: DiffusionProcess) throws {
    self.errors = errors
    timesteps = try process.schedule.timesteps(count: errors.count).reversed()
    let isOfNoise = process.target.needsSignal && !process.clips
    self.isOfNoise = isOfNoise
    shares = zip(errors, timesteps).map {
      Double($0) / Self.unit(process.schedule.level($1), isOfNoise)
    }
  }

  private static func unit(_ level: Level, _ isOfNoise: Bool) -> Double {
    isOfNoise ? level.variance / level.alphaBar : level.variance
  }

  func callAsFunction(_ level: Level) -> Double {
    let above = timesteps.firstIndex { Double($0) >= level.timestep } ?? timesteps.count - 1
    let below = max(above - 1, 0)
    let distance = Double(timesteps[above] - timesteps[below])
    let fraction = distance == 0 ? 0 : (level.timestep - Double(timesteps[below])) / distance
    return lerp(shares[below], shares[above], min(max(fraction, 0), 1))
      * Self.unit(level, isOfNoise)
  }
}

extension PosteriorVariance {
  /// Measures it on images that are spread evenly over a set, z ~ q(z|x0) for each.
  ///
  /// - Parameter together: images that may be at work in a thread.
  /// - Throws: ``UserError`` when the network's output is not finite.
  init(
    of network: any Denoiser, _ process: DiffusionProcess, vae: VAE?, on images: ByteImages,
    seed: UInt64, threads: Int, together: Int = .max
  ) throws {
    let network = network.prepared(training: false)
    let chosen = images.spread(Self.images)
    let pixels = images.pixels(chosen)
    let rows = 0..<pixels.rows
    let parts = rows.parts(of: max(1, min(together, type(of: network).drawnTogether)))
    // Other numbers than any of training or of its evaluation, whose steps are from -1 up.
    @Sendable func noise(
      _ purpose: RandomStream.Purpose, _ number: Int, _ rows: Range<Int>, columns: Int
    ) -> Matrix {
      RandomStream(seed: seed, purpose: purpose, step: -2 - number).normal(
        rows: rows, columns: columns)
    }
    let labels = images.labels(chosen)
    let z = vae.map {
      $0.encode(pixels, labels: labels).sample(noise(.latentNoise, 0, rows, columns: $0.latent))
    }
    let known = Known(vae, z: z, labels: labels)
    let y0 = process.formulation.chain(fromImage: pixels.affine(2, -1), known.reconstruction)
    let schedule = process.schedule
    let timesteps = try schedule.timesteps(count: min(Self.places, schedule.steps))
    let errors = try concurrently(timesteps.count, threads: threads) { place in
      let level = schedule.level(timesteps[place])
      let sum = try parts.reduce(0.0) { sum, part in
        let original = y0.rows(part)
        let y = process.diffuse(
          original, noise: noise(.diffusionNoise, place, part, columns: y0.columns),
          levels: [Level](repeating: level, count: part.count))
        var error = try process.denoise(y, at: level, network, known.rows(part))
        error.add(-1, original)
        return sum + error.squaredNorm
      }
      return Float(sum / Double(y0.rows * y0.columns))
    }
    try self.init(errors: errors.reversed(), process)
  }
}

extension PosteriorVariance {
  /// What the denoiser's file has beside the weights: `[timesteps]`.
  var tensors: [String: Tensor] {
    [Self.name: Tensor(shape: [errors.count], elements: errors)]
  }

  /// Takes its tensor out of a file; nil for a file without one.
  ///
  /// - Parameter path: the file's name, for errors.
  /// - Throws: `FormatError` for a tensor that is not as it must be.
  init?(from file: inout SafeTensors, _ process: DiffusionProcess, path: String) throws {
    guard let tensor = file.tensors.removeValue(forKey: Self.name) else { return nil }
    guard tensor.shape.count == 1, (1...process.schedule.steps).contains(tensor.elements.count),
      tensor.elements.allSatisfy({ $0 >= 0 && $0.isFinite })
    else {
      throw FormatError(
        file: path,
        problem: """
          tensor \(Self.name) must be a list of 1...\(process.schedule.steps) finite numbers from 0 up
          """)
    }
    try self.init(errors: tensor.elements, process)
  }
}
