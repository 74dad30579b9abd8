import Neural

/// How images come out of the noise.
extension Generator {
  /// The way of the drafts' images from noise: the samples that the network is asked about, one by one, of
  /// `centred` and `residual` with x̂0 added, and at last the images.
  ///
  /// - Returns: each `[drafts, pixels]`, clipped to [0, 1].
  /// - Throws: ``UserError`` for `rk45`, by which every image takes steps of its own.
  package func denoising(_ drafts: [Draft]) throws -> [Matrix] {
    try checkFilm(count: drafts.count)
    let pixels = model.shape.count
    // Frames side by side, that every image has a row.
    let joined = try inBatches(drafts.map(\.number)) { places in
      let batch = try batch(places.map { drafts[$0] })
      let (formulation, reconstruction) = (model.process.formulation, batch.known.reconstruction)
      var frames: [Matrix] = []
      let y0 = try draw(batch) { frames.append(formulation.networkInput($0, reconstruction)) }
      frames.append(formulation.image(fromChain: y0, reconstruction))
      tally.finish()
      var elements: [Float] = []
      elements.reserveCapacity(frames.count * places.count * pixels)
      for row in places.indices {
        for frame in frames { elements += frame.elements[row * pixels..<(row + 1) * pixels] }
      }
      return Matrix(places.count, frames.count * pixels, elements).affine(0.5, 0.5).clamped(
        to: 0...1)
    }
    return (0..<joined.columns / pixels).map { joined.columns($0 * pixels..<($0 + 1) * pixels) }
  }

  /// Refuses a film, see ``denoising(_:)``, that cannot be made, or is more than memory holds.
  ///
  /// - Returns: the frames that it has at most.
  @discardableResult
  package func checkFilm(count: Int) throws -> Int {
    guard options.sampler.countsSteps else {
      throw UserError(
        "a film of sampler \(options.sampler) cannot be made: its images differ in steps")
    }
    // What asks most often for a step: corrections, and what is around them.
    let frames = levels.count * (options.corrections + 2) + 1
    // Batches are whole, with repetitions.
    let images = (count + batch - 1) / batch * batch
    try checkMemory(
      bytes: 3 * 4 * frames * images * model.shape.count, "a film of \(images) images")
    return frames
  }
}
