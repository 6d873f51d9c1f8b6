import VitalModel

/// Writes observations as FHIR R4 Observation resources, one a line (ndjson), into a buffer that the caller empties with
/// ``take()``.
///
/// What a line holds, and what it cannot: `docs/hand-off.md`. Systolic and diastolic pressure of one time and source are one
/// blood pressure panel, as the vital-signs profile wants it, whichever message brought them.
package struct FHIRObservationWriter {
  private let names: ObservationNames
  private var pending: [UInt8] = []
  /// How often an identifier was given out at the moment being written, where it could be twice.
  private var given: [String: Int] = [:]
  /// Lines written so far: fewer than rows, as a panel is one.
  package private(set) var lines = 0

  package init(names: ObservationNames) { self.names = names }

  /// Bytes waiting.
  package var count: Int { pending.count }

  /// Gives out what was written since the last call: whole lines.
  package mutating func take() -> [UInt8] {
    defer { pending.removeAll(keepingCapacity: true) }
    return pending
  }

  /// Adds all that one device measured of one patient at one time; values of one series oldest first.
  package mutating func append(_ rows: some Collection<ObservationRow>) {
    given.removeAll(keepingCapacity: true)
    var pressures: [ObservationRow] = []
    for row in rows {
      if FHIRPressure(names.registry[row.code]) == nil { write([row]) } else { pressures.append(row) }
    }
    while !pressures.isEmpty {
      let first = pressures.removeFirst()
      let part = FHIRPressure(names.registry[first.code])
      // What is in force is one panel, also where one pressure came later or was corrected: two panels would have one
      // identifier, and each would take the other's place.
      let partner = pressures.firstIndex { other in
        FHIRPressure(names.registry[other.code]) != part && other.source == first.source
          && other.isSuperseded == first.isSuperseded
          && (!first.isSuperseded || other.ingestTime == first.ingestTime)
      }
      write(partner.map { [first, pressures.remove(at: $0)] } ?? [first])
    }
  }

  /// One line about one row, or about the two pressures of a panel.
  private mutating func write(_ rows: [ObservationRow]) {
    let row = rows[0]
    let vital = names.registry[row.code]
    let isPanel = FHIRPressure(vital) != nil
    let tenant = names.tenants[Int(row.tenant)]
    let name = identifier(row, isPanel: isPanel)
    var out = JSONText()
    out.object { out in
      out.field("resourceType", "Observation")
      FHIRWords.meta(isSimulated: rows.contains { $0.flags.contains(.simulated) }, to: &out)
      FHIRWords.identifier(FHIRWords.System.sample, name, to: &out)
      out.field("status", status(rows))
      FHIRWords.concepts(
        "category", FHIRWords.System.observationCategory, "vital-signs", "Vital Signs", to: &out)
      out.object("code") { out in
        if isPanel { FHIRPressure.panel(to: &out) } else { FHIRWords.codings(vital, to: &out) }
      }
      FHIRWords.reference(
        "subject", "Patient", FHIRWords.System.patient(tenant), names.patients[Int(row.patient)], to: &out)
      out.field("effectiveDateTime", Timestamp.format(row.time))
      out.field("issued", Timestamp.format(rows.map(\.ingestTime).max() ?? row.ingestTime))
      if isPanel {
        FHIRPressure.components(to: &out) { part, out in
          guard let row = rows.first(where: { FHIRPressure(names.registry[$0.code]) == part }) else { return false }
          measured(row, to: &out)
          return true
        }
      } else {
        measured(row, to: &out)
      }
      if row.source >= 0 { out.object("method") { $0.field("text", names.sources[Int(row.source)]) } }
      FHIRWords.reference("device", "Device", FHIRWords.System.device, names.devices[Int(row.device)], to: &out)
      notes(rows, to: &out)
    }
    pending += out.bytes
    pending.append(10)
    lines += 1
  }

  /// The same sample has the same identifier however often it is exported; a correction keeps that of what it corrects, which
  /// then has one with its time of receipt, and a count where several of one series came at one time.
  private mutating func identifier(_ row: ObservationRow, isPanel: Bool) -> String {
    let name = identity(row, isPanel ? "bp" : names.registry[row.code].key)
    guard isPanel || row.isSuperseded else { return name }
    let count = given[name, default: 0] + 1
    given[name] = count
    return count == 1 ? name : "\(name)-\(count)"
  }

  private func identity(_ row: ObservationRow, _ key: String) -> String {
    var parts = [
      names.tenants[Int(row.tenant)], names.patients[Int(row.patient)], names.devices[Int(row.device)], key,
      row.source < 0 ? "" : names.sources[Int(row.source)],
    ].map(\.percentEncoded)
    parts.append(String(row.time))
    if row.isSuperseded { parts.append("superseded-\(row.ingestTime)") }
    return parts.joined(separator: "/")
  }

  private func status(_ rows: [ObservationRow]) -> String {
    if rows[0].isSuperseded { return "entered-in-error" }
    return rows.contains { $0.flags.contains(.corrected) } ? "corrected" : "final"
  }

  private func measured(_ row: ObservationRow, to out: inout JSONText) {
    // The number says nothing about the patient: a reader that looks at values alone must not find one.
    if row.status.isSensorOff {
      FHIRWords.concept("dataAbsentReason", FHIRWords.System.absentReason, "error", "Error", to: &out)
    } else if let letter = names.letter(row) {
      out.object("valueCodeableConcept") { $0.field("text", letter) }
    } else {
      let (value, unit) = quantity(row)
      out.object("valueQuantity") { FHIRWords.quantity(value, unit: unit, to: &$0) }
    }
  }

  /// The number in a UCUM unit. Only the power of ten changes, and only where that gives the canonical unit (0.93 as `1` is
  /// 93 `%`); other units stay as received, by their UCUM code.
  private func quantity(_ row: ObservationRow) -> (DecimalValue, String) {
    let vital = names.registry[row.code]
    guard vital.units.indices.contains(Int(row.unit)) else { return (row.value, vital.unit) }
    let sent = vital.units[Int(row.unit)]
    if sent.offset.mantissa == 0, let shift = powerOfTen(sent.numerator, sent.denominator),
      let exponent = Int8(exactly: Int(row.value.exponent) + shift), (-18...18).contains(exponent)
    {
      return (DecimalValue(mantissa: row.value.mantissa, exponent: exponent), vital.unit)
    }
    // Of the names of one unit the registry gives the UCUM code first.
    let code = vital.units.first {
      $0.offset == sent.offset && $0.numerator == sent.numerator && $0.denominator == sent.denominator
    }
    return (row.value, code?.unit ?? sent.unit)
  }

  private func powerOfTen(_ numerator: Int64, _ denominator: Int64) -> Int? {
    (-18...18).first { shift in
      let (top, bottom) = shift < 0 ? (Int64(1), DecimalValue.powerOfTen(-shift)) : (DecimalValue.powerOfTen(shift), 1)
      return Int128(numerator) * Int128(bottom) == Int128(denominator) * Int128(top)
    }
  }

  /// What FHIR has no field for.
  private func notes(_ rows: [ObservationRow], to out: inout JSONText) {
    var texts: [String] = []
    for row in rows {
      let key = names.registry[row.code].key
      if row.status.isSensorOff {
        texts.append("\(key): the device said \(row.status.text) and sent \(row.value) \(names.unit(row))")
      } else if row.status != .ok {
        texts.append("\(key): the device said \(row.status.text)")
      }
      if let quality = row.quality.text { texts.append("\(key): quality \(quality) of 1") }
      if row.flags.contains(.timeReceived) { texts.append("\(key): no time was sent, this is the time of receipt") }
      if row.flags.contains(.clockCorrected) { texts.append("\(key): time corrected for the device's clock") }
    }
    guard !texts.isEmpty else { return }
    out.array("note") { out in for text in texts { out.object { $0.field("text", text) } } }
  }
}
