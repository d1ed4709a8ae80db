"""The top module: it takes the photosite of every slot of the frame from the zone that the slot lies in."""

from dataclasses import replace

from sensor.rtl.design import Design, Zone, bits_for
from sensor.rtl.zone_generators import bus_bits
from sensor.rtl.zone_module import zone_module


def port_bits(design: Design) -> tuple[int, int]:
    """Return what one zone has of ``row_keys`` and of ``keys``: the widest of them decides."""
    row, word = zip(*(bus_bits(zone, design.generator) for zone in design.zones), strict=True)
    return max(row), max(word)


def order_module(design: Design) -> str:
    """Return the text of the module ``readout_order`` and of the modules of its zones.

    It delivers the photosite of every slot, row by row of the readout and one a clock, as long as it is taken.
    """
    zones = design.zones
    count = len(zones)
    row_bits, word_bits = port_bits(design)
    yb, xb = bits_for(design.shape[0] - 1), bits_for(design.shape[1] - 1)
    # Zones that differ in their place only, such as colour planes, share a module.
    kinds = [replace(zone, top=0, left=0, step=(1, 1), parts=(), first_segment=0) for zone in zones]
    names = [f"zone_of_{kind.rows}_{kind.columns}_{kinds.index(kind)}" for kind in kinds]
    modules = "\n".join(
        zone_module(kind, design.generator, name) for name, kind in dict(zip(names, kinds, strict=True)).items()
    )
    instances = "".join(
        _instance(design, zone, n, name) for n, (zone, name) in enumerate(zip(zones, names, strict=True))
    )
    either = ["\n        | ".join(f"({{32{{here[{n}]}}}} & {axis}_{n})" for n in range(count)) for axis in "yx"]
    return f"""// Readout order "{design.pattern}", unit {design.unit}, generator {design.generator}.
// {design.shape[1]} x {design.shape[0]} photosites in {count} zone(s). The ports of the zones lie side by side, those
// of zone 0 in the lowest bits: {row_bits} bits of row_keys and {word_bits} of keys each.
`default_nettype none

module readout_order (
    input wire clk,
    input wire reset,  // before every frame
    // Round keys of the row address generators, stable over the frame; or the write ports of their tables.
    input wire [{count * row_bits - 1}:0] row_keys,
    input wire [{count - 1}:0] row_write,
    input wire [{count * 32 - 1}:0] row_write_address,
    // Round keys of the segments asked for; or the write ports of their tables. `ready` says that they are there, and
    // falls once `ask` has fallen. Round keys stay until the next `ask`.
    input wire [{count * word_bits - 1}:0] keys,
    input wire [{count - 1}:0] write,
    input wire [{count * 32 - 1}:0] write_address,
    output wire [{count - 1}:0] ask,
    output wire [{count * 32 - 1}:0] segment,
    input wire [{count - 1}:0] ready,
    // The photosite read into the next slot, and its address in the line buffer or the frame memory.
    input wire take,
    output reg valid,
    output reg [{yb - 1}:0] y,
    output reg [{xb - 1}:0] x,
    output reg [31:0] memory_address
);
    wire go = !valid || take;
    // The slot, where it lies in the period of the zones, and the first row of its line buffer.
    reg [15:0] slot_y;
    reg [15:0] slot_x;
    reg [15:0] phase_y;
    reg [15:0] phase_x;
    reg [15:0] buffer_row;
    reg [15:0] buffer_y;
    wire [{count - 1}:0] here;
    wire [{count - 1}:0] zone_valid;
    wire found = |(here & zone_valid);
{instances}
    wire [31:0] next_y = {either[0]};
    wire [31:0] next_x = {either[1]};
    wire row_ends = (slot_x == 16'd{design.shape[1] - 1});

    always @(posedge clk) begin
        if (go) begin
            y <= next_y[{yb - 1}:0];
            x <= next_x[{xb - 1}:0];
            memory_address <= (next_y - {{16'b0, buffer_y}}) * 32'd{design.shape[1]} + next_x;
        end
        if (reset) begin
            valid <= 1'b0;
            slot_y <= 16'd0;
            slot_x <= 16'd0;
            phase_y <= 16'd0;
            phase_x <= 16'd0;
            buffer_row <= 16'd0;
            buffer_y <= 16'd0;
        end else if (go) begin
            valid <= found;
            if (found) begin
                slot_x <= row_ends ? 16'd0 : slot_x + 16'd1;
                phase_x <= (row_ends || phase_x == 16'd{zones[0].step[1] - 1}) ? 16'd0 : phase_x + 16'd1;
                if (row_ends) begin
                    slot_y <= slot_y + 16'd1;
                    phase_y <= (phase_y == 16'd{zones[0].step[0] - 1}) ? 16'd0 : phase_y + 16'd1;
                    buffer_row <= buffer_row + 16'd1;
                    if (buffer_row == 16'd{(design.buffer_rows or design.shape[0]) - 1}) begin
                        buffer_row <= 16'd0;
                        buffer_y <= slot_y + 16'd1;
                    end
                end
            end
        end
    end
endmodule

{modules}
`default_nettype wire
"""


def _instance(design: Design, zone: Zone, number: int, module: str) -> str:
    """Return the instance of one zone, whether the slot is its own, and its photosite's place in the frame."""
    row_bits, word_bits = port_bits(design)
    own_row_bits, own_word_bits = bus_bits(zone, design.generator)
    inside = [
        condition
        for axis, first, step, length, side in zip(
            "yx", (zone.top, zone.left), zone.step, zone.shape, design.shape, strict=True
        )
        for condition in _inside(axis, first, step, length, side)
    ]
    return f"""
    wire [15:0] v_{number};
    wire [15:0] u_{number};
    assign here[{number}] = {" && ".join(inside) or "1'b1"};
    {module} zone_{number} (
        .clk(clk), .reset(reset),
        .row_keys(row_keys[{number * row_bits} +: {own_row_bits}]), .row_write(row_write[{number}]),
        .row_write_address(row_write_address[{32 * number} +: 32]),
        .keys(keys[{number * word_bits} +: {own_word_bits}]), .write(write[{number}]),
        .write_address(write_address[{32 * number} +: 32]),
        .ask(ask[{number}]), .segment(segment[{32 * number} +: 32]), .ready(ready[{number}]),
        .take(go && here[{number}]), .valid(zone_valid[{number}]), .v(v_{number}), .u(u_{number})
    );
    wire [31:0] y_{number} = 32'd{zone.top} + {{16'b0, v_{number}}} * 32'd{zone.step[0]};
    wire [31:0] x_{number} = 32'd{zone.left} + {{16'b0, u_{number}}} * 32'd{zone.step[1]};
"""


def _inside(axis: str, first: int, step: int, length: int, side: int) -> list[str]:
    """Return the conditions, in one direction, for a slot to lie in a zone; none for what always holds."""
    conditions = []
    if step > 1:
        conditions.append(f"(phase_{axis} == 16'd{first % step})")
    if first >= step:
        conditions.append(f"(slot_{axis} >= 16'd{first})")
    if first + length * step < side:
        conditions.append(f"(slot_{axis} < 16'd{first + length * step})")
    return conditions
