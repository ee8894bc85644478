using System;
using System.Collections.Generic;

namespace Dho2.Admm;

/// <summary>How sigma follows the residuals (Boyd et al. 2011, section 3.4.1).</summary>
public sealed record ResidualBalanceSettings
{
    /// <summary>Sigma changes when one residual exceeds the other by this factor; above 1.</summary>
    public double Ratio { get; init; } = 10;

    /// <summary>The factor by which it changes; above 1.</summary>
    public double Factor { get; init; } = 2;

    /// <summary>After so many changes sigma stays; at least 0.</summary>
    public int MaxChanges { get; init; } = 20;

    /// <summary>Checks the ranges.</summary>
    /// <exception cref="ArgumentException">A number is out of its range; the message names it and the range.</exception>
    public void Validate()
    {
        if (!(Ratio > 1) || !(Factor > 1) || MaxChanges < 0)
        {
            throw new ArgumentException($"Ratio ({Ratio}) and Factor ({Factor}) must be above 1 and MaxChanges ({MaxChanges}) at least 0.");
        }
    }
}

/// <summary>Follows the residuals from period to period. Every rank sees the same ones, and so decides the same.</summary>
internal sealed class ResidualBalance
{
    private readonly ResidualBalanceSettings settings;
    private AdmmResiduals last = new(double.PositiveInfinity, double.PositiveInfinity);
    private int changes;
    private int growth;

    public ResidualBalance(ResidualBalanceSettings settings)
    {
        settings.Validate();
        this.settings = settings;
    }

    /// <summary>The sigma of the next period: never above the ceiling, which may have come down below the present one.</summary>
    public double Next(AdmmResiduals residuals, double sigma, double ceiling)
    {
        // A ceiling that is not above 0 says that the base diverges without any pull: sigma cannot mend that.
        double next = Follow(residuals, sigma, ceiling);
        return ceiling > 0 ? Math.Min(next, ceiling) : next;
    }

    private double Follow(AdmmResiduals residuals, double sigma, double ceiling)
    {
        growth = residuals.Primal > last.Primal && residuals.Dual > last.Dual ? growth + 1 : 0;
        last = residuals;

        // Local steps that a strong pull makes diverge show as residuals that grow together.
        if (growth == 2)
        {
            growth = 0;
            return sigma / settings.Factor;
        }

        if (changes == settings.MaxChanges)
        {
            return sigma;
        }

        double wanted = residuals.Primal > settings.Ratio * residuals.Dual ? Math.Max(sigma, Math.Min(sigma * settings.Factor, ceiling))
            : residuals.Dual > settings.Ratio * residuals.Primal ? sigma / settings.Factor
            : sigma;
        changes += wanted != sigma ? 1 : 0;
        return wanted;
    }

    public void Export(Dictionary<string, double> numbers)
    {
        numbers["balance.changes"] = changes;
        numbers["balance.growth"] = growth;
        numbers["balance.primal"] = last.Primal;
        numbers["balance.dual"] = last.Dual;
    }

    public void Import(IReadOnlyDictionary<string, double> numbers)
    {
        changes = (int)numbers["balance.changes"];
        growth = (int)numbers["balance.growth"];
        last = new AdmmResiduals(numbers["balance.primal"], numbers["balance.dual"]);
    }
}
