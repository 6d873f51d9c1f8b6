import VitalModel

/// The value checks of live messages for values parsed elsewhere: reject limits, zeros without a source that can see one,
/// diastolic at or above systolic.
package struct RowScreen {
  private let vitals: VitalTable
  private let systolic: [VitalCode?]
  private let diastolic: [VitalCode?]

  package init(registry: VitalRegistry) {
    vitals = VitalTable(registry)
    systolic = [registry.code("sbp"), registry.code("abp_sys")]
    diastolic = [registry.code("dbp"), registry.code("abp_dia")]
  }

  /// Whether the number lies within the vital's reject limits, decided on the exact, unrounded number.
  package func isCredible(_ value: DecimalValue, unit: UInt8, code: VitalCode, source: SourceText) -> Bool {
    vitals.isCredible(value, unit: unit, of: code, source: source)
  }

  /// Whether two values of one row contradict each other: a diastolic at or above its systolic (SEMANTICS A8).
  package func isContradiction(
    _ a: (code: VitalCode, value: DecimalValue, unit: UInt8), _ b: (code: VitalCode, value: DecimalValue, unit: UInt8)
  ) -> Bool {
    for index in 0..<2 {
      guard a.code == systolic[index], b.code == diastolic[index] else { continue }
      guard let high = vitals.canonical(a.value, unit: a.unit, of: a.code),
        let low = vitals.canonical(b.value, unit: b.unit, of: b.code)
      else { return false }
      return !(low < high)
    }
    return false
  }

  package func isSystolic(_ code: VitalCode) -> Bool { systolic.contains(code) }
}
