import VitalModel

/// Messages that arrive as cells of a table (recordings) instead of bytes: the same values, units, limits and pressure
/// checks, so that a replayed table and a live payload are refused alike.
///
/// `beginCells`, then for each row any number of `addCell` and one `endRow`; results are in the same properties.
extension MessageDecoder {
  /// Forgets the results so far.
  package func beginCells(arrival: Arrival) { reset(.vitals, arrival) }

  /// The vital a name means and the number of the unit the name implies (0: canonical or none implied).
  package func vital(named name: UnsafeRawBufferPointer) -> (code: VitalCode, unit: UInt8)? {
    names.lookup(name).map { ($0.code, $0.unit < 0 ? 0 : UInt8(clamping: Int($0.unit))) }
  }

  /// The number of the unit with exactly this name.
  package func unit(named name: UnsafeRawBufferPointer, of code: VitalCode) -> UInt8? { vitals.unit(name, of: code) }

  /// Adds one non-empty cell to the row at hand.
  ///
  /// - Parameter text: a number as JSON writes it, or a letter; white space around it is ignored.
  /// - Parameter eventTime: milliseconds since 1970; refused as `impossible_time` outside ``Timestamp/accepted``.
  /// - Returns: why the cell was refused (it is then in ``refusals`` too), or nil.
  @discardableResult
  package func addCell(
    _ text: UnsafeRawBufferPointer, code: VitalCode, unit: UInt8 = 0, eventTime: Int64,
    source: SourceText = SourceText()
  ) -> QuarantineReason? {
    var header = MessageHeader()
    header.eventTime = eventTime
    header.isTimed = true
    header.source = source
    let reading: ValueReading =
      Timestamp.accepted.contains(eventTime)
      ? plainValue(text.trimmed, code: code, unit: unit, source: source) : .refused(.impossibleTime)
    switch reading {
    case .refused(let reason):
      refuse(reason, code: code, raw: Array(text))
      return reason
    case .value(let value):
      let origin = Origin(token: observations.count, context: 0)
      _ = accept(value, unit: unit, code: code, header: header, origin: origin)
      return nil
    }
  }

  /// Ends the row that began with the observation number `start`: one message.
  ///
  /// Returns how many observations there are now, the next row's start; refuses contradicting pressures first.
  @discardableResult
  package func endRow(from start: Int) -> Int {
    finishMessage(from: start) { origin in self.cellMessage(self.observations[origin.token]) }
    return observations.count
  }

  /// A cell as a native message.
  private func cellMessage(_ observation: DecodedObservation) -> [UInt8] {
    let vital = vitals.definition(observation.code)
    var json = JSONText()
    json.object {
      $0.field("time", Timestamp.format(observation.eventTime))
      $0.field("code", vital.key)
      $0.field("value", observation.value)
      $0.field(
        "unit", vital.units.indices.contains(Int(observation.unit)) ? vital.units[Int(observation.unit)].unit : nil)
      if !observation.source.isEmpty { $0.field("source", observation.source.string) }
    }
    return json.bytes
  }
}
