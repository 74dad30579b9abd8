import Formats

/// Checkpoints of a stage: what it goes on from, and what it goes back to.
extension Training {
  /// The trainer of a stage, at its last checkpoint if there is one. It takes the network, lest the
  /// first weights stay in memory.
  func trainer<Goal: Objective>(
    _ objective: Goal, _ network: consuming Goal.Network, _ stage: Stage,
    on examples: some Examples
  ) throws -> Trainer<Goal> {
    var (objective, step, lost) = (objective, 0, 0)
    if let (path, file) = try state(of: stage) {
      try check(trainedOn: [file.metadata[Model.fingerprintKey]].compactMap { $0 }, path)
      step = try Weights.decodeState(
        file, into: &network, &objective.memory, configuration: configuration, path: path)
      lost = min(step, Weights.lostSteps(of: file))
      logger.info("\(configuration.title(of: stage)): going on from step \(step)")
    }
    let trainer = try Trainer(
      objective, network, examples: examples, settings: configuration.settings(of: stage),
      lanes: configuration.training.lanes, seed: stage.seed(configuration.training.seed),
      threads: threads, step: step, lost: lost)
    guard step <= trainer.totalSteps else {
      throw FormatError(
        file: run.stateFile(stage),
        problem: "is of step \(step), past the last one, \(trainer.totalSteps)")
    }
    return trainer
  }

  /// The last checkpoint of a stage; where that is damaged, the last before it that is not.
  private func state(of stage: Stage) throws -> (path: String, file: SafeTensors)? {
    var damage: FormatError?
    let paths = run.stateFiles(stage).filter(run.has)
    for path in paths {
      do {
        let file = try SafeTensors.read(path)
        if let damage {
          logger.warning("\(damage); going on from a checkpoint before it")
          // Else the next checkpoint would be kept beside the damaged one, in place of this.
          try run.restoreState(stage, from: path)
        }
        return (path, file)
      } catch let error as FormatError {
        damage = damage ?? error
      } catch let error as FileError where path != paths.last {
        // It may be readable another time: it is not given up for the one before.
        throw FileError(
          file: path,
          problem: "cannot be read (if it stays so, remove it, and the checkpoint before is taken)",
          code: error.code)
      }
    }
    if let damage { throw damage }
    return nil
  }

  /// Writes what the stage needs to go on, beside the checkpoints before.
  ///
  /// - Throws: ``Divergence`` for weights that are not finite; the checkpoints are then as they were.
  func checkpoint(_ trainer: Trainer<some Objective>, _ stage: Stage) throws {
    var state = Weights.state(
      of: trainer.network, memory: trainer.objective.memory, step: trainer.step, lost: trainer.lost,
      configuration: configuration)
    state.metadata[Model.fingerprintKey] = fingerprint
    try check(finite: state, step: trainer.step)
    run.keepState(stage, count: configuration.training.checkpoints)
    try state.write(to: run.stateFile(stage))
  }

  /// Losses and gradients were finite; a rate too high can still lead out of the numbers.
  func check(finite file: SafeTensors, step: Int) throws {
    guard file.tensors.values.allSatisfy({ $0.elements.allSatisfy(\.isFinite) }) else {
      throw Divergence(
        step: step, what: "weights are not finite", examples: [])
    }
  }

  /// Takes back the weights of the last checkpoint, but not the batches that have come since.
  func rollBack<Goal: Objective>(_ trainer: inout Trainer<Goal>, _ stage: Stage) throws {
    guard let (path, file) = try state(of: stage) else { return }
    var (network, memory) = (trainer.network, trainer.objective.memory)
    let step = try Weights.decodeState(
      file, into: &network, &memory, configuration: configuration, path: path)
    trainer.restore(network, memory, updates: max(0, step - Weights.lostSteps(of: file)))
  }

  /// - Parameter fingerprints: none where an older version has trained.
  func check(trainedOn fingerprints: [String], _ path: String) throws {
    guard fingerprints.allSatisfy({ $0 == fingerprint }) else {
      throw UserError(
        """
        \(path): was trained on other images than those of \(data.name) now: put those \
        back, or train a new run
        """)
    }
  }
}
