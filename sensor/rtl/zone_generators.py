"""The address generators of one zone as Verilog text, with the counters that feed them."""

from scrambler.feistel import ROUNDS, Domain
from scrambler.generators import TABLE
from sensor.rtl.design import Zone, bits_for


def bus_bits(zone: Zone, generator: str) -> tuple[int, int]:
    """Return the widths of a zone's row and segment key bus; for tables, of their entries; else 1."""
    if generator == TABLE:
        widths = bits_for(zone.rows - 1), bits_for(zone.length - 1)
    else:
        widths = _key_bits(zone.row_domain, generator), _key_bits(zone.domain, generator)
    return widths[0] if zone.orders_rows else 1, widths[1] if zone.segments else 1


def _key_bits(domain: Domain, generator: str) -> int:
    """Return the width of a bijection's key bus."""
    return ROUNDS[generator] * (64 + bits_for(domain.high) + bits_for(domain.low - 1))


def row_generator(zone: Zone, generator: str) -> str:
    """Return the row address generator: ``row_address`` is the row of cells read at ``cell_row``."""
    if not zone.orders_rows:
        return "    wire [31:0] row_address = {16'b0, cell_row};"
    if generator == TABLE:
        return _table("row", zone.rows, ("row_write", "row_write_address", "row_keys"), "cell_row")
    return _digits("row", zone.row_domain, "row_ends", "reset") + _bijection("row", zone.row_domain, generator)


def cell_generator(zone: Zone, generator: str) -> str:
    """Return the generator of a segment's cells: ``cell_address`` is the cell read into the slot, counted from 0."""
    if not zone.segments:
        return "    reg [31:0] cell_address;\n    always @(posedge clk) if (go) cell_address <= {16'b0, cell_column};"
    if generator == TABLE:
        bits = bits_for(zone.length - 1)
        counter = _kept([("place", bits)], f"place <= place + {bits}'d1;")
        return counter + _table("cell", zone.length, ("write", "write_address", "keys"), "place")
    return _digits("cell", zone.domain) + _bijection("cell", zone.domain, generator)


def _digits(name: str, domain: Domain, when: str = "", clear: str = "") -> str:
    """Return a counter of addresses in a domain's digits: ``NAME_high`` and ``NAME_low``."""
    high, low = bits_for(domain.high), bits_for(domain.low - 1)
    count = f"""if ({name}_low == {low}'d{domain.low - 1}) begin
            {name}_low <= {low}'d0;
            {name}_high <= {name}_high + {high}'d1;
        end else {name}_low <= {name}_low + {low}'d1;"""
    registers = [(f"{name}_high", high), (f"{name}_low", low)]
    if not when:
        return _kept(registers, f"begin {count} end")
    declared = "\n".join(f"    reg [{bits - 1}:0] {register};" for register, bits in registers)
    zero = " ".join(f"{register} <= {bits}'d0;" for register, bits in registers)
    return f"""{declared}
    always @(posedge clk) begin
        if ({clear}) begin {zero} end
        else if (go && {when}) begin {count} end
    end
"""


def _kept(registers: list[tuple[str, int]], count: str) -> str:
    """Return a counter of a segment's cells, which goes back to the row's begin for other tiles and inner rows."""
    declared = "\n".join(
        f"    reg [{bits - 1}:0] {name};\n    reg [{bits - 1}:0] {name}_begin;" for name, bits in registers
    )
    clear = " ".join(f"{name}_begin <= {bits}'d0;" for name, bits in registers)
    keep = " ".join(f"{name}_begin <= {name};" for name, _ in registers)
    back = " ".join(f"{name} <= {name}_begin;" for name, _ in registers)
    return f"""{declared}
    always @(posedge clk) begin
        if (reset) begin {clear} end
        else if (go && row_ends) begin
            if (segment_ends) begin {clear} end
            else begin {keep} end
        end
        if (go && state == START) begin {back} end
        else if (go && advance) {count}
    end
"""


def _table(name: str, size: int, port: tuple[str, str, str], read: str) -> str:
    """Return a table; ``NAME_address`` is what it holds at `read`."""
    bits = bits_for(size - 1)
    write, address, data = port
    return f"""    wire [{bits - 1}:0] {name}_out;
    order_table #(.SIZE({size}), .AB({bits})) {name}_table (
        .clk(clk), .enable(go),
        .write({write}), .write_address({address}[{bits - 1}:0]), .write_data({data}[{bits - 1}:0]),
        .read_address({read}[{bits - 1}:0]), .read_data({name}_out)
    );
    wire [31:0] {name}_address = {wide(f"{name}_out", bits)};"""


def _bijection(name: str, domain: Domain, generator: str) -> str:
    """Return a bijection of ``NAME_high`` and ``NAME_low``; ``NAME_address`` is the address that they go to."""
    high, low = bits_for(domain.high), bits_for(domain.low - 1)
    keys = "keys" if name == "cell" else f"{name}_keys"
    return f"""    wire [{high - 1}:0] {name}_high_out;
    wire [{low - 1}:0] {name}_low_out;
    keyed_bijection #(
        .HIGH(17'd{domain.high}), .LOW(17'd{domain.low}), .REST(17'd{domain.rest}), .HB({high}), .LB({low}),
        .ROUNDS({ROUNDS[generator]}), .LIGHT({int(generator == "light")})
    ) {name}_bijection (
        .clk(clk), .enable(go), .high_in({name}_high), .low_in({name}_low), .keys({keys}),
        .high_out({name}_high_out), .low_out({name}_low_out)
    );
    wire [31:0] {name}_address =
        {wide(f"{name}_high_out", high)} * 32'd{domain.low} + {wide(f"{name}_low_out", low)};"""


def wide(name: str, bits: int) -> str:
    """Return a net with zeros in front, 32 bits wide."""
    return f"{{{32 - bits}'b0, {name}}}"
