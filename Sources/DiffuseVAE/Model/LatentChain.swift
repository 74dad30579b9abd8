import Neural

/// What lies between a level of latents, z, and the next above it, z'.
struct LatentLevel: Parameterized {
  var encoder: MLP  // z → [mean | ln variance] of z', q(z'|z)
  var decoder: MLP  // z' → [mean | ln variance] of z, p(z|z')

  mutating func visit(
    _ path: String, _ body: (String, inout Parameter) throws -> Void
  ) rethrows {
    try encoder.visit(path + ".encoder", body)
    try decoder.visit(path + ".decoder", body)
  }
}

/// The latents of a hierarchical VAE whose levels are a Markov chain, z1 … zL, a row for each draw:
///
///     q(z|x) = q(z1|x) q(z2|z1) … q(zL|zL-1)
///     p(z) = p(zL) p(zL-1|zL) … p(z1|z2)  with  p(zL) = N(0, I)
///
/// The plain VAE has one level. Arrays have an element for each, z1's first.
struct LatentChain: Sendable {
  /// Of each level given the one below it, or x.
  var posteriors: [DiagonalGaussian] = []
  /// Of each level given the one above it.
  var priors: [DiagonalGaussian] = []
  var noises: [Matrix] = []
  var latents: [Matrix] = []
  /// What `backward` needs of the networks between two levels.
  var encodings: [MLP.Residuals] = []
  var decodings: [MLP.Residuals] = []

  var draws: Int { noises[0].rows }

  /// How the divergence of a draw, `ln q(z|x) - ln p(z)`, enters a loss.
  enum Divergence: Sendable {
    /// That of the highest level as its mean, which is known, `KL(q(zL|zL-1) ‖ N(0, I))`; those of
    /// the others as drawn; β times all.
    ///
    /// `freeBits` is what a latent of the highest level counts that has less; nil to count what there
    /// is.
    case mean(beta: Double, freeBits: Float?)
    /// β times what it is for the z that was drawn.
    case drawn(beta: Double)
  }

  /// `ln q - ln p` of one level and every draw, in nats.
  func logRatios(level: Int) -> [Double] {
    posteriors[level].logRatios(noise: noises[level], latents[level], to: priors[level])
  }

  /// The divergence of every draw, without β.
  func divergences(_ divergence: Divergence) -> [Double] {
    (0..<latents.count).map { level in
      guard level == latents.count - 1, case .mean(_, let least) = divergence else {
        return logRatios(level: level)
      }
      return posteriors[level].divergencesFromNormal(atLeast: least)
    }.reduce([Double](repeating: 0, count: draws)) { zip($0, $1).map(+) }
  }
}

extension VAE {
  /// Numbers of noise that decide z at all levels.
  var noiseColumns: Int { upper.reduce(latent) { $0 + $1.decoder.inputs } }

  /// The noise of each level.
  private func levels(of noise: Matrix) -> [Matrix] {
    var (first, parts) = (0, [Matrix]())
    for count in [latent] + upper.map(\.decoder.inputs) {
      parts.append(noise.columns(first..<first + count))
      first += count
    }
    return parts
  }

  /// Draws of all levels.
  ///
  /// - Parameters:
  ///   - posterior: q(z1|x), a row for each draw.
  ///   - noise: `[draws, noiseColumns]`, draws of N(0, 1), those for z1 first.
  func chain(from posterior: DiagonalGaussian, noise: Matrix) -> LatentChain {
    var chain = LatentChain()
    chain.noises = levels(of: noise)
    chain.posteriors = [posterior]
    chain.latents = [posterior.sample(chain.noises[0])]
    for (place, level) in upper.enumerated() {
      let (encoding, residuals) = level.encoder.forward(chain.latents[place])
      let posterior = DiagonalGaussian(encoding)
      chain.posteriors.append(posterior)
      chain.encodings.append(residuals)
      chain.latents.append(posterior.sample(chain.noises[place + 1]))
    }
    for (place, level) in upper.enumerated() {
      let (decoding, residuals) = level.decoder.forward(chain.latents[place + 1])
      chain.priors.append(DiagonalGaussian(decoding))
      chain.decodings.append(residuals)
    }
    let top = chain.posteriors[upper.count]
    chain.priors.append(.standard(count: top.count, dimensions: top.dimensions))
    return chain
  }

  /// Adds the derivatives of `Σ_r weights[r] · divergences[r]` by the networks between levels, and of
  /// whatever else has `dz1` as its derivative by z1.
  ///
  /// - Parameters:
  ///   - dz1: `[draws, latent]`
  ///   - weights: of every draw, without β.
  /// - Returns: the derivative by the parameters of q(z1|x), a row for each draw.
  func backward(
    _ chain: LatentChain, dz1: Matrix, weights: [Double], _ divergence: LatentChain.Divergence,
    _ gradients: inout Gradients
  ) -> Matrix {
    var (beta, least, isTopDrawn) = (1.0, Float?.none, true)
    switch divergence {
    case .mean(let factor, let freeBits): (beta, least, isTopDrawn) = (factor, freeBits, false)
    case .drawn(let factor): beta = factor
    }
    let factors = weights.map { Float(beta * $0) }
    /// The derivative of -ln p(z|z') by the parameters of p, whose negative mean part is that by z.
    func byPrior(_ level: Int) -> Matrix {
      chain.priors[level].negativeLogDensityDerivative(at: chain.latents[level], factors: factors)
    }
    // From the highest level down: z is an argument of q(z'|z) above it, of p(z|z') at its own
    // level, and of p(x|z) or the p below it.
    var (above, own) = (Matrix?.none, isTopDrawn ? byPrior(upper.count) : nil)
    for level in stride(from: upper.count, to: 0, by: -1) {
      let (below, posterior) = (byPrior(level - 1), chain.posteriors[level])
      var dz = upper[level - 1].decoder.backward(
        below, chain.decodings[level - 1], &gradients)
      above.map { dz.add($0) }
      let dq = derivative(posterior, chain.noises[level], dz, own, factors, least)
      above = upper[level - 1].encoder.backward(dq, chain.encodings[level - 1], &gradients)
      own = below
    }
    var dz = dz1
    above.map { dz.add($0) }
    return derivative(chain.posteriors[0], chain.noises[0], dz, own, factors, least)
  }

  /// The derivative by the parameters of one q.
  ///
  /// - Parameters:
  ///   - dz: by its draws, but for what p(z|z') adds.
  ///   - byPrior: by the parameters of that; nil to take the divergence's mean, which is known.
  private func derivative(
    _ q: DiagonalGaussian, _ noise: Matrix, _ dz: Matrix, _ byPrior: Matrix?, _ factors: [Float],
    _ least: Float?
  ) -> Matrix {
    guard let byPrior else {
      var derivative = q.backward(dz, noise: noise)
      derivative.add(q.divergenceDerivative(factors: factors, atLeast: least))
      return derivative
    }
    var dz = dz
    dz.add(-1, byPrior.columns(0..<q.dimensions))
    var derivative = q.backward(dz, noise: noise)
    derivative.add(q.ownLogDensityDerivative(factors: factors))
    return derivative
  }

  /// Draws of z1 ~ p(z1), from the highest level down.
  ///
  /// - Parameter noise: `[draws, noiseColumns]`, that for z1 first; what scales it scales deviations.
  func latents(from noise: Matrix) -> Matrix {
    let noises = levels(of: noise)
    var z = noises[upper.count]
    for level in stride(from: upper.count, to: 0, by: -1) {
      z = DiagonalGaussian(upper[level - 1].decoder(z)).sample(noises[level - 1])
    }
    return z
  }
}
