import Formats

/// What a network costs, counted from its settings before anything is made of them. The ranges of
/// the settings keep every product here far below overflow.
struct Footprint {
  /// Trained numbers.
  var parameters = 0
  /// Numbers that are kept besides.
  var constants = 0
  /// Numbers that one image leaves behind for `backward`, about.
  var residualsPerImage = 0

  /// Counts an MLP of these widths, input and output included.
  mutating func addMLP(_ widths: [Int]) {
    for (inputs, outputs) in zip(widths, widths.dropFirst()) {
      parameters += (inputs + 1) * outputs
      residualsPerImage += 2 * inputs
    }
  }
}

extension VAESettings {
  /// - Parameter pixels: numbers in one image.
  func footprint(pixels: Int) -> Footprint {
    var footprint = Footprint()
    footprint.addMLP([pixels] + hidden + [2 * latent])
    footprint.addMLP([latent] + hidden.reversed() + [pixels])
    footprint.residualsPerImage += 3 * pixels
    if likelihood == .gaussian { footprint.parameters += 1 }
    return footprint
  }
}

extension Configuration {
  /// Of the second stage's network.
  func denoiserFootprint(pixels: Int) -> Footprint {
    var footprint = Footprint()
    let (width, embedding) = (denoiser.width, denoiser.embedding)
    switch denoiser.kind {
    case .mlp:
      footprint.addMLP([embedding, embedding, embedding])
      footprint.addMLP([diffusion.condition ? 2 * pixels : pixels, width])
      for _ in 0..<denoiser.blocks {
        footprint.addMLP([embedding, 3 * width])
        footprint.addMLP([width, width, width])
        // The modulation, the norm, and both sides of the gate.
        footprint.residualsPerImage += 6 * width
      }
      footprint.addMLP([width, pixels])
    }
    footprint.constants = diffusion.steps * embedding
    // x, noise, target, x̂0 and the prediction.
    footprint.residualsPerImage += 8 * pixels
    return footprint
  }

  func footprint(of stage: Stage, pixels: Int) -> Footprint {
    stage == .vae ? vae.footprint(pixels: pixels) : denoiserFootprint(pixels: pixels)
  }

  /// Peak memory of training a stage, in bytes, without the data.
  func trainingBytes(of stage: Stage, pixels: Int) -> Int {
    let footprint = footprint(of: stage, pixels: pixels)
    // Value, two moments and average, and a gradient for each lane.
    let state = footprint.parameters * (4 + training.lanes) + footprint.constants
    let frozen = stage == .denoiser && hasVAE ? vae.footprint(pixels: pixels).parameters : 0
    let batch = settings(of: stage).batch * footprint.residualsPerImage
    let checkpoint = 4 * footprint.parameters
    let program = 10 << 20
    return 4 * (state + frozen + batch + checkpoint + program)
  }
}

/// Refuses what this machine's memory cannot hold, before it is asked for.
///
/// - Throws: ``UserError`` that says what it was for.
func checkMemory(bytes: Int, _ purpose: String) throws {
  let physical = File.physicalMemory
  guard bytes <= physical / 10 * 9 else {
    throw UserError(
      """
      \(purpose) takes about \(bytes.asMemory) of memory; \
      this machine has \(physical.asMemory)
      """)
  }
}

extension Int {
  /// Bytes as people say them.
  var asMemory: String {
    self < 10 << 30 ? "\(self >> 20) MiB" : "\((Double(self) / 0x1p30).digits(1)) GiB"
  }
}
