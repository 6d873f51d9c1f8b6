import VitalModel

extension MessageDecoder {
  /// Ends a message: refuses pressures that contradict each other, and marks its last accepted observation.
  ///
  /// - Parameter wrap: one observation of the message as a payload of its own.
  func finishMessage(from start: Int, wrap: (Origin) -> [UInt8]) {
    if PressureRole.holdsPair(pressureRoles) { refuseInconsistent(from: start, wrap: wrap) }
    pressureRoles = 0
    guard observations.count > start else { return }
    observations[observations.count - 1].flags.insert(.endOfMessage)
  }

  private func refuseInconsistent(from start: Int, wrap: (Origin) -> [UInt8]) {
    let marked = inconsistentIndices(from: start)
    guard !marked.isEmpty else { return }
    var kept = start
    for index in start..<observations.count {
      if marked.contains(index) {
        refuse(.inconsistent, code: observations[index].code, raw: wrap(origins[index]))
      } else {
        observations[kept] = observations[index]
        origins[kept] = origins[index]
        kept += 1
      }
    }
    observations.removeLast(observations.count - kept)
    origins.removeLast(origins.count - kept)
  }

  /// The observations with a counterpart of the same kind, time and source at which diastolic ≥ systolic.
  private func inconsistentIndices(from start: Int) -> Set<Int> {
    pressureIndices.removeAll(keepingCapacity: true)
    for index in start..<observations.count where vitals.pressureRole(observations[index].code) != .none {
      pressureIndices.append(index)
    }
    // Grouped by sorting: comparing every systolic with every diastolic would cost seconds in a hostile payload.
    pressureIndices.sort { precedes(observations[$0], observations[$1]) }
    var marked: Set<Int> = []
    var first = 0
    while first < pressureIndices.count {
      var end = first + 1
      while end < pressureIndices.count,
        !precedes(observations[pressureIndices[first]], observations[pressureIndices[end]])
      {
        end += 1
      }
      if end - first > 1 { markInconsistent(pressureIndices[first..<end], &marked) }
      first = end
    }
    return marked
  }

  private func precedes(_ a: DecodedObservation, _ b: DecodedObservation) -> Bool {
    let aArterial = vitals.pressureRole(a.code).isArterial
    let bArterial = vitals.pressureRole(b.code).isArterial
    if aArterial != bArterial { return bArterial }
    if a.eventTime != b.eventTime { return a.eventTime < b.eventTime }
    return SourceText.precedes(a.source, b.source)
  }

  private func markInconsistent(_ group: ArraySlice<Int>, _ marked: inout Set<Int>) {
    var lowestSystolic: (index: Int, value: CanonicalQuantity)?
    var highestDiastolic: (index: Int, value: CanonicalQuantity)?
    for index in group {
      guard let value = canonical(index) else { continue }
      if isSystolic(index) {
        if lowestSystolic.map({ value < $0.value }) ?? true { lowestSystolic = (index, value) }
      } else if highestDiastolic.map({ $0.value < value }) ?? true {
        highestDiastolic = (index, value)
      }
    }
    guard let lowest = lowestSystolic, let highest = highestDiastolic, !(highest.value < lowest.value) else { return }
    for index in group {
      guard let value = canonical(index) else { continue }
      if isSystolic(index) ? !(highest.value < value) : !(value < lowest.value) { marked.insert(index) }
    }
    inconsistentPressures.append(
      InconsistentPressure(
        systolic: observations[lowest.index].code, diastolic: observations[highest.index].code,
        eventTime: observations[lowest.index].eventTime, patient: observations[lowest.index].patient))
  }

  private func isSystolic(_ index: Int) -> Bool { vitals.pressureRole(observations[index].code).isSystolic }

  private func canonical(_ index: Int) -> CanonicalQuantity? {
    let observation = observations[index]
    return vitals.canonical(observation.value, unit: observation.unit, of: observation.code)
  }
}
