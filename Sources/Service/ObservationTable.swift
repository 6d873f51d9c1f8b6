import ChunkCoding
import Pipeline
import SeriesStore
import TabularFormats
import VitalModel

/// A stored sample of a vital that the registry in force does not have: the store was written under another registry.
package struct UnknownVital: Error, CustomStringConvertible {
  package let number: Int
  package var description: String {
    "a stored sample is of vital number \(number), which the registry of the store's rules does not have"
  }
}

/// Stored rows as observations: the names behind the numbers of some groups.
///
/// The names are those the directory holds when it is made: make it after reading the rows.
package struct ObservationTable {
  package let names: ObservationNames
  private var tenants: [UInt32: Int32] = [:]
  private var patients: [UInt32: Int32] = [:]
  private var devices: [UInt32: Int32] = [:]

  package init(groups: [SeriesGroup], directory: Directory, registry: VitalRegistry) {
    var names = ObservationNames(registry: registry)
    var tenantPlaces: [String: Int32] = [:]
    for group in groups {
      if patients[group.patient] == nil {
        let key = directory.patientKey(group.patient)
        let tenant = key?.tenant ?? ""
        if tenantPlaces[tenant] == nil {
          tenantPlaces[tenant] = Int32(names.tenants.count)
          names.tenants.append(tenant)
        }
        tenants[group.patient] = tenantPlaces[tenant]
        patients[group.patient] = Int32(names.patients.count)
        names.patients.append(key?.patient ?? "unknown")
      }
      if devices[group.device] == nil {
        devices[group.device] = Int32(names.devices.count)
        names.devices.append(directory.deviceName(group.device))
      }
    }
    // Number 0 is no source; the others have texts and no gaps.
    for number in UInt16(1)... {
      let text = directory.sourceName(number)
      guard !text.isEmpty else { break }
      names.sources.append(text)
    }
    self.names = names
  }

  /// Adds the cells of a row.
  ///
  /// - Parameter group: one of those the table was made for.
  package func append(
    _ row: SeriesRow, _ group: SeriesGroup, to rows: inout [ObservationRow]
  ) throws(UnknownVital) {
    guard let tenant = tenants[group.patient], let patient = patients[group.patient],
      let device = devices[group.device]
    else { return }
    for cell in row.cells {
      guard names.registry.vitals.indices.contains(Int(cell.column.code.index)) else {
        throw UnknownVital(number: Int(cell.column.code.index))
      }
      let source = Int32(cell.column.source) - 1
      rows.append(
        ObservationRow(
          tenant: tenant, patient: patient, device: device,
          source: names.sources.indices.contains(Int(source)) ? source : -1, code: cell.column.code,
          unit: cell.column.unit, time: row.time, ingestTime: cell.cell.ingestTime, value: cell.cell.value,
          statusRaw: cell.cell.statusRaw, flags: cell.cell.flags, quality: cell.cell.quality,
          sequence: cell.cell.deviceSequence, isSuperseded: cell.isSuperseded))
    }
  }
}

/// Groups in the order exports have: by patient id, then device id, as texts; tenants only decide between equal ids.
package func exportOrder(_ groups: [SeriesGroup], _ directory: Directory) -> [SeriesGroup] {
  func key(_ group: SeriesGroup) -> [String] {
    let patient = directory.patientKey(group.patient)
    return [patient?.patient ?? "", directory.deviceName(group.device), patient?.tenant ?? ""]
  }
  return groups.map { (key($0), $0) }.sorted { $0.0.lexicographicallyPrecedes($1.0) }.map(\.1)
}
