/// The number of a vital sign in its ``VitalRegistry``: stable within one store, which records the keys in order.
package struct VitalCode: Hashable, Sendable, BitwiseCopyable {
  package var index: UInt16
  @inlinable package init(index: UInt16) { self.index = index }
}

/// An accepted unit and how its numbers become canonical ones: canonical = (value + `offset`) x `numerator` / `denominator`.
package struct UnitConversion: Hashable, Sendable {
  /// UCUM code or a usual alias, as devices send it.
  package var unit: String
  package var offset: DecimalValue
  package var numerator: Int64
  package var denominator: Int64

  package init(
    unit: String, offset: DecimalValue = DecimalValue(mantissa: 0), numerator: Int64 = 1, denominator: Int64 = 1
  ) {
    self.unit = unit
    self.offset = offset
    self.numerator = numerator
    self.denominator = denominator
  }
}

/// An MDC (ISO/IEEE 11073-10101) term: reference id and context-free number.
package struct MDCTerm: Hashable, Sendable {
  package var referenceID: String
  package var number: Int
  package init(referenceID: String, number: Int) {
    self.referenceID = referenceID
    self.number = number
  }
}

/// The largest credible change: more than `change` within `within` milliseconds is an artefact until it persists.
package struct StepGate: Hashable, Sendable {
  package var change: DecimalValue
  package var within: Int64
  package init(change: DecimalValue, within: Int64) {
    self.change = change
    self.within = within
  }
}

/// One vital sign of the registry (`Rules/vitals.yaml`).
package struct VitalDefinition: Hashable, Sendable {
  /// Registry key, lower case (`spo2`).
  package var key: String
  package var title: String
  package var loinc: [String]
  package var mdc: [MDCTerm]
  /// Canonical unit, a UCUM code.
  package var unit: String
  /// Every accepted unit, the canonical one first. The position is the unit's number in slots and chunks.
  package var units: [UnitConversion]
  /// Other names of columns and codes (`temp_c`), each with the unit it implies (nil: canonical).
  package var aliases: [String: String]
  /// Outside means physiologically impossible or sensor nonsense: quarantined. Canonical unit, both ends accepted.
  package var rejectBelow: DecimalValue
  package var rejectAbove: DecimalValue
  /// Zero is accepted only from these sources (heart rate 0 from ECG: asystole); nil: no special rule.
  package var zeroSources: [String]?
  package var stepGate: StepGate?
  /// The chart resolution evaluation rounds to, as a power of ten: 0 for integers, -1 for 0.1.
  package var resolutionExponent: Int
  /// How long the newest sample counts as current, milliseconds.
  package var staleness: Int64
  /// Preferred sources, best first; any other source ranks after them.
  package var sources: [String]
  /// For vitals sent as letters (`consciousness`): each accepted text and the number that stands for it. Empty: numeric.
  package var letters: [(text: String, value: Int64)]

  package init(
    key: String, title: String, loinc: [String] = [], mdc: [MDCTerm] = [], unit: String, units: [UnitConversion],
    aliases: [String: String] = [:], rejectBelow: DecimalValue, rejectAbove: DecimalValue, zeroSources: [String]? = nil,
    stepGate: StepGate? = nil, resolutionExponent: Int, staleness: Int64, sources: [String] = [],
    letters: [(text: String, value: Int64)] = []
  ) {
    self.key = key
    self.title = title
    self.loinc = loinc
    self.mdc = mdc
    self.unit = unit
    self.units = units
    self.aliases = aliases
    self.rejectBelow = rejectBelow
    self.rejectAbove = rejectAbove
    self.zeroSources = zeroSources
    self.stepGate = stepGate
    self.resolutionExponent = resolutionExponent
    self.staleness = staleness
    self.sources = sources
    self.letters = letters
  }

  package static func == (a: VitalDefinition, b: VitalDefinition) -> Bool {
    a.key == b.key && a.canonicalText == b.canonicalText
  }
  package func hash(into hasher: inout Hasher) { hasher.combine(canonicalText) }

  /// Every field in one fixed order: what rule versions hash, so that a changed limit or conversion is a new version.
  package var canonicalText: String {
    let unitText = units.map { "\($0.unit)|\($0.offset)|\($0.numerator)|\($0.denominator)" }.joined(separator: ";")
    let aliasText = aliases.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ";")
    let letterText = letters.map { "\($0.text)=\($0.value)" }.joined(separator: ";")
    let gate = stepGate.map { "\($0.change)/\($0.within)" } ?? "-"
    return [
      key, loinc.joined(separator: ","), mdc.map { "\($0.referenceID)=\($0.number)" }.joined(separator: ","), unit,
      unitText, aliasText, "\(rejectBelow)..\(rejectAbove)", zeroSources?.joined(separator: ",") ?? "-", gate,
      String(resolutionExponent), String(staleness), sources.joined(separator: ","), letterText,
    ].joined(separator: "\n")
  }

  /// The received number in canonical units on the resolution grid, rounded half up (SEMANTICS A5): the number of
  /// 10^`resolutionExponent` steps.
  ///
  /// - Returns: nil if `unitIndex` is unknown or the number overflows.
  package func gridValue(_ value: DecimalValue, unitIndex: Int) -> Int64? {
    guard units.indices.contains(unitIndex) else { return nil }
    let conversion = units[unitIndex]
    if conversion.numerator == conversion.denominator, conversion.offset.mantissa == 0 {
      return value.scaled(toExponent: resolutionExponent)
    }
    // Exact rational arithmetic in Int128 keeps (98.6 - 32) / 1.8 from becoming 36.99999.
    let exponent = min(Int(value.exponent), Int(conversion.offset.exponent), 0)
    guard let base = value.scaled(toExponent: exponent), let offset = conversion.offset.scaled(toExponent: exponent)
    else { return nil }
    var top = (Int128(base) + Int128(offset)) * Int128(conversion.numerator)
    var bottom = Int128(conversion.denominator)
    let shift = exponent - resolutionExponent
    guard abs(shift) <= 18 else { return nil }
    if shift >= 0 {
      top *= Int128(DecimalValue.powerOfTen(shift))
    } else {
      bottom *= Int128(DecimalValue.powerOfTen(-shift))
    }
    var quotient = top / bottom
    var remainder = top % bottom
    if remainder < 0 {
      quotient -= 1
      remainder += bottom
    }
    if remainder >= bottom - remainder { quotient += 1 }
    return Int64(exactly: quotient)
  }

  /// A grid value as a decimal in the canonical unit.
  package func decimal(grid: Int64) -> DecimalValue {
    DecimalValue(mantissa: grid, exponent: Int8(resolutionExponent))
  }
}

/// All vital signs Vigil knows, with constant-time look-up by any of their names.
package struct VitalRegistry: Sendable {
  package let vitals: [VitalDefinition]
  /// Lower-cased key, alias, LOINC code, MDC reference id or MDC number → vital and the unit number it implies (-1: none).
  private let names: [String: (code: VitalCode, unit: Int)]

  /// - Precondition: at most 1,000 vitals, keys distinct (the loader refuses otherwise).
  package init(_ vitals: [VitalDefinition]) {
    precondition(vitals.count <= 1000)
    self.vitals = vitals
    var names: [String: (code: VitalCode, unit: Int)] = [:]
    for (index, vital) in vitals.enumerated() {
      let code = VitalCode(index: UInt16(index))
      names[vital.key.lowercased()] = (code, -1)
      for loinc in vital.loinc where names[loinc] == nil { names[loinc] = (code, -1) }
      for term in vital.mdc {
        names[term.referenceID.lowercased()] = (code, -1)
        if names[String(term.number)] == nil { names[String(term.number)] = (code, -1) }
      }
      for (alias, unit) in vital.aliases.sorted(by: { $0.key < $1.key }) where names[alias.lowercased()] == nil {
        names[alias.lowercased()] = (code, vital.units.firstIndex { $0.unit == unit } ?? -1)
      }
    }
    self.names = names
  }

  /// The vital a name means (case does not matter), and the number of the unit the name implies (-1: none).
  package func lookup(_ name: String) -> (code: VitalCode, unit: Int)? { names[name.lowercased()] }

  package func code(_ key: String) -> VitalCode? { lookup(key)?.code }

  package subscript(code: VitalCode) -> VitalDefinition { vitals[Int(code.index)] }

  /// Every name that can be looked up, sorted: for suggestions.
  package var allNames: [String] { names.keys.sorted() }
}
