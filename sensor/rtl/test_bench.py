"""Self-checking test benches in Verilog; each prints PASS and how much was right, or FAIL and where."""

from scrambler.generators import TABLE
from sensor.rtl.design import Design, bits_for
from sensor.rtl.order_module import port_bits

ORDER_BENCH = "readout_order_tb"


def supplied_order(design: Design) -> str:
    """Return the part of a bench that drives ``readout_order`` from ``row_words_N.hex`` and ``words_N.hex``.

    The bench around it has ``clk``, ``take`` and ``count``, and reads ``running``, ``valid``, ``y``, ``x`` and
    ``memory_address``.
    """
    zones = design.zones
    count = len(zones)
    row_bits, word_bits = port_bits(design)
    tables = int(design.generator == TABLE)
    yb, xb = bits_for(design.shape[0] - 1), bits_for(design.shape[1] - 1)
    supplies = ""
    for n, zone in enumerate(zones):
        longest = zone.length if tables else 1
        supplies += _supply(
            f"{n}", word_bits, max(1, zone.segments * longest), longest, tables, f"ask[{n}]", f"segment[{32 * n} +: 32]"
        )
        if zone.orders_rows:
            rows = zone.rows if tables else 1
            supplies += _supply(f"{n}", row_bits, rows, rows, tables, "starting", "32'd0", "row_")
        else:
            supplies += f"""
    assign row_ready[{n}] = 1'b1;
    assign row_write[{n}] = 1'b0;
    assign row_keys[{n * row_bits} +: {row_bits}] = {row_bits}'d0;
    assign row_write_address[{32 * n} +: 32] = 32'd0;
"""
    return f"""    // Row tables are loaded before the scan starts.
    reg starting = 1'b1;
    reg running = 1'b0;
    wire [{count * row_bits - 1}:0] row_keys;
    wire [{count * word_bits - 1}:0] keys;
    wire [{count - 1}:0] row_write, write, ask, ready, row_ready;
    wire [{32 * count - 1}:0] row_write_address, write_address, segment;
    wire valid;
    wire [{yb - 1}:0] y;
    wire [{xb - 1}:0] x;
    wire [31:0] memory_address;

    readout_order readout_order (
        .clk(clk), .reset(!running),
        .row_keys(row_keys), .row_write(row_write), .row_write_address(row_write_address),
        .keys(keys), .write(write), .write_address(write_address), .ask(ask), .segment(segment), .ready(ready),
        .take(take), .valid(valid), .y(y), .x(x), .memory_address(memory_address)
    );
{supplies}
    always @(posedge clk) if (starting && &row_ready) begin
        starting <= 1'b0;
        running <= 1'b1;
    end
"""


def _supply(
    number: str, bits: int, words: int, longest: int, tables: int, ask: str, segment: str, prefix: str = ""
) -> str:
    """Return the supply of one zone's words."""
    at = int(number)
    return f"""
    order_supply #(
        .FILE("{prefix}words_{number}.hex"), .WORDS({words}), .BITS({bits}), .LONGEST({longest}), .TABLE({tables})
    ) {prefix}supply_{number} (
        .clk(clk), .ask({ask}), .segment({segment}), .ready({prefix}ready[{number}]),
        .keys({prefix}keys[{at * bits} +: {bits}]), .write({prefix}write[{number}]),
        .write_address({prefix}write_address[{32 * at} +: 32])
    );
"""


def order_bench(design: Design) -> str:
    """Return a bench that feeds a frame's keys or tables and compares the address of every slot.

    It runs in the folder of ``expected.hex`` and of the zones' words. ``+count=N`` stops after so many slots.
    """
    slots = design.shape[0] * design.shape[1]
    return f"""// Compares every address of a frame with the one that Python gives.
`timescale 1ns/1ps

module {ORDER_BENCH};
    localparam integer SLOTS = {slots};
    reg clk = 1'b0;
    wire take = 1'b1;
{supplied_order(design)}
    reg [31:0] expected [0:SLOTS-1];
    reg [31:0] found;
    integer count, limit, wrong, idle;

    always #5 clk = !clk;

    always @(posedge clk) if (running) begin
        idle <= valid ? 0 : idle + 1;
        if (valid && count < limit) begin
            found = y * 32'd65536 + x;
            if (expected[count] !== found) begin
                if (wrong == 0) $display("FAIL slot %0d: %0d,%0d, not %08x", count, y, x, expected[count]);
                wrong <= wrong + 1;
            end
            count <= count + 1;
        end
        if (count == limit || idle > 4 * SLOTS + 100000) begin
            if (wrong == 0 && count == limit) $display("PASS %0d addresses", count);
            else $display("FAIL %0d of %0d addresses are wrong or missing", wrong + limit - count, limit);
            $finish;
        end
    end

    initial begin
        count = 0; wrong = 0; idle = 0;
        if (!$value$plusargs("count=%d", limit)) limit = SLOTS;
        $readmemh("expected.hex", expected, 0, limit - 1);
    end
endmodule
"""
