import Recordings
import VitalModel

extension VitalRegistry {
  /// A recorded value in its vital's own unit, as the engine judges by it.
  ///
  /// - Returns: nil where the device calls it invalid (a low battery does not), or where it lies outside what is believed
  ///   of that vital.
  package func usableValue(_ cell: RecordedCell) -> Double? {
    let vital = self[cell.code]
    guard cell.status == .ok || cell.status == .lowBattery,
      let grid = vital.gridValue(cell.value, unitIndex: Int(cell.unit))
    else { return nil }
    let value = vital.decimal(grid: grid).double
    // Letters are numbered by the registry itself.
    guard vital.letters.isEmpty else { return value }
    return vital.rejectBelow.double <= value && value <= vital.rejectAbove.double ? value : nil
  }
}
